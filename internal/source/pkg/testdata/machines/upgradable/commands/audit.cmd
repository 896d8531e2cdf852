pkg audit --raw=json-compact
