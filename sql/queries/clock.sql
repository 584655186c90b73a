-- Times in data are the database's, whichever machine writes them.

-- name: tell_time
SELECT clock_timestamp()
