-- What can be recomputed from the evidence at any time.

-- Events without a verdict. Kept by triggers, so membership cannot come apart from what it means.
create table pending (
  station  text    not null,
  n        bigint  not null,
  org      text    not null,
  arrival  bigint  not null,
  subjects text[]  not null, -- its subject and its links
  primary key (station, n)
);
create index pending_arrival on pending (arrival);
create index pending_subjects on pending using gin (subjects);

create function event_is_pending() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into pending (station, n, org, arrival, subjects)
  values (new.station, new.n, new.org, new.arrival, array[new.subject] || new.links);
  return null;
end $$;
create trigger pending after insert on event for each row execute function event_is_pending();

create function event_is_decided() returns trigger language plpgsql security definer set search_path = public as $$
begin
  delete from pending where station = new.station and n = new.n;
  return null;
end $$;
create trigger decided after insert on verdict for each row execute function event_is_decided();

grant select on pending to yaoji_app;

-- The ledger's state as far as this store has settled it: the mirror that rules are judged on before the ledger does.
create table world (
  key   text primary key,
  value text not null
);
grant select, insert, update on world to yaoji_app;
