-- What the Worker does with the upstream of a stream whose client leaves; NULL: its own rule. The names are those of
-- the enum `WhenClientLeaves` of crates/catalog.
ALTER TABLE models ADD COLUMN when_client_leaves TEXT CHECK (when_client_leaves IN ('stop', 'read'));
