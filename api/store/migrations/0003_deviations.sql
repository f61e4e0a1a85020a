-- What the service found outside the process rules about an event when it stored it: the marks of the event's receipt.
create table deviation (
  station  text   not null,
  n        bigint not null,
  check_id text   not null,
  primary key (station, n, check_id),
  foreign key (station, n) references event
);
create trigger keep_rows before update or delete on deviation for each row execute function refuse_change();
create trigger keep_table before truncate on deviation for each statement execute function refuse_change();
grant select, insert on deviation to yaoji_app;

-- Who was boiled in a device before.
create index event_device on event ((links[1]), arrival) where step = 'DECOCT_STARTED';

-- The stations of a site.
create index world_station on world ((value::jsonb ->> 'org'), (value::jsonb ->> 'site'), key) where key like 'station~%';
