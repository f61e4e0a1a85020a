-- What is published on the chain. Numbers are the contract's: another chain or contract begins anew.

-- A view of all logs, kept because bundles prove inclusion against it, and the root of its checkpoints.
create table anchor (
  id       bigint      primary key generated always as identity,
  chain    text        not null, -- CAIP-2
  contract text        not null, -- 0x and lower hex
  seq      bigint      not null check (seq > 0),
  root     bytea       not null check (length(root) = 32),
  view     bytea       not null,
  kept_at  timestamptz not null default now(),
  unique (chain, contract, seq)
);

-- How far it reaches into each log.
create table anchor_log (
  anchor bigint not null references anchor,
  org    text   not null,
  size   bigint not null,
  primary key (anchor, org)
);
create index anchor_log_size on anchor_log (org, size);

-- A transaction that was about to be sent: written before it is, so that nothing is forgotten that may be in a block one day.
create table anchor_attempt (
  anchor   bigint      not null references anchor,
  tx_hash  text        not null, -- 0x and lower hex
  nonce    bigint      not null,
  raw      bytea       not null,
  begun_at timestamptz not null default now(),
  primary key (anchor, tx_hash)
);

-- A block in which it was seen, with what shows that to anybody.
create table anchor_inclusion (
  id         bigint      primary key generated always as identity,
  anchor     bigint      not null references anchor,
  tx_hash    text        not null,
  block      bigint      not null,
  block_hash text        not null, -- 0x and lower hex
  header     bytea       not null, -- RLP
  tx_index   integer     not null,
  proof      bytea[]     not null, -- nodes of the receipt trie, root to leaf
  found_at   timestamptz not null default now()
);
create index anchor_inclusion_anchor on anchor_inclusion (anchor);
create index anchor_inclusion_block on anchor_inclusion (block);

-- What became of such a block: the chain has another one in its place, or will never have.
create table anchor_lost (
  inclusion bigint      primary key references anchor_inclusion,
  found_at  timestamptz not null default now()
);
create table anchor_final (
  inclusion bigint      primary key references anchor_inclusion,
  found_at  timestamptz not null default now()
);

do $$
declare name text;
begin
  foreach name in array array['anchor', 'anchor_log', 'anchor_attempt', 'anchor_inclusion', 'anchor_lost', 'anchor_final'] loop
    execute format('create trigger keep_rows before update or delete on %I for each row execute function refuse_change()', name);
    execute format('create trigger keep_table before truncate on %I for each statement execute function refuse_change()', name);
    execute format('grant select, insert on %I to yaoji_app', name);
  end loop;
end $$;

-- What can be recomputed: what there is left to do. Pending: no inclusion. Included: one that is not final. A final one is not
-- in it, unless the chain has lost it after all. Kept by triggers, so it cannot come apart from what it means.
create table anchor_open (
  anchor    bigint primary key,
  inclusion bigint
);
grant select on anchor_open to yaoji_app;

create function anchor_is_open() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into anchor_open (anchor) values (new.id);
  return null;
end $$;
create trigger open after insert on anchor for each row execute function anchor_is_open();

create function anchor_is_included() returns trigger language plpgsql security definer set search_path = public as $$
begin
  update anchor_open set inclusion = new.id where anchor = new.anchor and inclusion is null;
  if not found then
    raise exception 'anchor % is in a block already', new.anchor using errcode = 'unique_violation';
  end if;
  return null;
end $$;
create trigger included after insert on anchor_inclusion for each row execute function anchor_is_included();

create function anchor_is_lost() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into anchor_open (anchor) select anchor from anchor_inclusion where id = new.inclusion
  on conflict (anchor) do update set inclusion = null;
  return null;
end $$;
create trigger lost after insert on anchor_lost for each row execute function anchor_is_lost();

create function anchor_is_final() returns trigger language plpgsql security definer set search_path = public as $$
begin
  delete from anchor_open where inclusion = new.inclusion;
  return null;
end $$;
create trigger final after insert on anchor_final for each row execute function anchor_is_final();
