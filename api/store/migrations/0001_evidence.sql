-- What was recorded, what the ledger said of it, and what proofs are made of. The service's role may add rows here and read
-- them; nobody, the owner included, may change or remove one. A superuser could: then the proofs stop holding, and say where.

-- Roles belong to the server, not to the database: another database may have made this one already, perhaps just now.
do $$ begin
  create role yaoji_app nologin;
exception when duplicate_object or unique_violation then null;
end $$;
do $$ begin
  execute format('grant yaoji_app to %I', current_user);
end $$;

-- A custody event's public part. (station, n) is its identity everywhere. The insert of the row is the outbox.
create table event (
  station     text        not null,
  n           bigint      not null,
  org         text        not null,
  site        text        not null,
  step        text        not null,
  subject     text        not null,
  links       text[]      not null,
  entry       text        not null, -- canonical JSON, signed by the station
  body_hash   bytea       not null, -- SHA-256 of the canonical body: sameness of a repeated request
  received_at timestamptz not null default now(),
  -- Order among the events of one subject, whose inserts wait for one another. Never a reading position: between subjects a
  -- smaller number may become visible after a larger one.
  arrival     bigint      generated always as identity,
  primary key (station, n)
);
create index event_subject on event (subject, arrival);

-- Salts and values of the fields that are not in the open: apart from the events, so that they can be erased and every proof
-- still holds.
create table disclosure (
  station  text not null,
  n        bigint not null,
  position smallint not null,
  text     text not null,
  primary key (station, n, position),
  foreign key (station, n) references event
);

-- What was said of an event, once.
create table verdict (
  station   text        not null,
  n         bigint      not null,
  said_by   text        not null check (said_by in ('ledger', 'service')),
  code      text,       -- why it was refused; null: accepted
  org       text        not null,
  batch     bigint,     -- the batch that carried it; null when the service refused it
  said_at   timestamptz not null default now(),
  primary key (station, n),
  foreign key (station, n) references event,
  check (code is not null or said_by = 'ledger'),
  check ((batch is null) = (said_by = 'service'))
);

-- A transaction that was about to be submitted: written before it is, so that its fate can be asked for by its id.
create table attempt (
  tx_id    text        primary key,
  org      text        not null,
  follows  bigint      not null,
  begun_at timestamptz not null default now()
);
create index attempt_org on attempt (org, follows);

-- A transaction that the ledger holds valid.
create table batch (
  org        text   not null,
  number     bigint not null,
  tx_id      text   not null unique,
  block      bigint,
  entries    integer not null,
  checkpoint text   not null,
  settled_at timestamptz not null default now(),
  primary key (org, number)
);

-- One organisation's log: its records, as the leaves commit to them.
create table record (
  org     text   not null,
  index   bigint not null,
  station text   not null,
  n       bigint not null,
  subject text   not null,
  seq     bigint not null,
  leaf    text   not null,
  body    text   not null, -- canonical JSON
  primary key (org, index),
  unique (station, n),
  unique (subject, seq)
);

-- The perfect subtrees of each log: the nodes that proofs are made of.
create table node (
  org   text     not null,
  level smallint not null,
  index bigint   not null,
  hash  bytea    not null,
  primary key (org, level, index)
);

-- A log on which the ledger's answer differed from what was recomputed: nothing is written to it any more.
create table stopped_log (
  org        text        primary key,
  why        text        not null,
  stopped_at timestamptz not null default now()
);

create table api_key (
  id          text        primary key,
  secret_hash bytea       not null, -- SHA-256 of 256 random bits
  org         text        not null,
  site        text        not null,
  role        text        not null check (role in ('recorder', 'registrar')),
  created_at  timestamptz not null default now(),
  expires_at  timestamptz
);
create table api_key_revocation (
  id         text        primary key references api_key,
  revoked_at timestamptz not null default now()
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are never changed or removed', tg_table_name using errcode = 'insufficient_privilege';
end $$;

do $$
declare name text;
begin
  foreach name in array array['event', 'verdict', 'attempt', 'batch', 'record', 'node', 'stopped_log', 'api_key', 'api_key_revocation'] loop
    execute format('create trigger keep_rows before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger keep_table before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to yaoji_app', name);
  end loop;
end $$;
-- A disclosure may be erased one day, by another role; it is never changed.
create trigger keep_rows before update on disclosure for each row execute function refuse_change();
create trigger keep_table before truncate on disclosure for each statement execute function refuse_change();
grant select, insert on disclosure to yaoji_app;
