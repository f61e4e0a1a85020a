-- How far the ledger's blocks are followed: moved in the same transaction as what they update.
create table ledger_cursor (
  whole boolean primary key default true check (whole), -- one row
  block bigint  not null
);
grant select, insert, update on ledger_cursor to yaoji_app;
