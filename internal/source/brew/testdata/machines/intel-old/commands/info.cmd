/usr/local/bin/brew info --json=v2 --installed
