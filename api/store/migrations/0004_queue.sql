-- A worker looks at its own organisation's queue, and at what others have pending on the same subjects: never at all of it.
alter table pending add column step text;
update pending set step = event.step from event where event.station = pending.station and event.n = pending.n;
alter table pending alter column step set not null;

drop index pending_arrival;
create index pending_queue on pending (org, arrival);
create index pending_takers on pending (org) where step = 'COURIER_ACCEPTED';
-- New rows would wait in a list that every search reads from end to end.
alter index pending_subjects set (fastupdate = off);

create or replace function event_is_pending() returns trigger language plpgsql security definer set search_path = public as $$
begin
  insert into pending (station, n, org, arrival, step, subjects)
  values (new.station, new.n, new.org, new.arrival, new.step, array[new.subject] || new.links);
  return null;
end $$;
