-- What is in the controller's way, in its own words, so that any coordinator shows it whoever leads: written by the controller of
-- the term when it changes, and emptied when a pass succeeds.
alter table controller_term
    -- Whose fault it is; null while nothing is in the way.
    add column complaint_kind text,
    add column complaint text not null default '',
    -- Since when it is of this kind.
    add column complaint_since timestamptz;
