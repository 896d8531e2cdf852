/usr/local/bin/brew --cache
