/home/linuxbrew/.linuxbrew/bin/brew --cache
