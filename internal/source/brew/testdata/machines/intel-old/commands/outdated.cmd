/usr/local/bin/brew outdated --json=v2 --greedy
