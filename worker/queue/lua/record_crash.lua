#!lua flags=allow-oom
-- Adds a crash report to those of some entries.
-- KEYS: crash reports (hash: id -> one JSON object per line).
-- ARGV: limit of ids in the hash, the hash's expiry in seconds, the crash report as JSON, id, …
for n = 4, #ARGV do add_crash_report(KEYS[1], ARGV[n], ARGV[3], ARGV[1], ARGV[2]) end
