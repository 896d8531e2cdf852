pkg audit --raw=json-compact curl-8.10.1 sqlite3-3.46.1,1
