-- The Worker's MAC over a settle that waits. A row without one was not written by the Worker, or by a version that had
-- none: it is refused, and stays for an operator to see.
ALTER TABLE undelivered_settles ADD COLUMN mac TEXT;
