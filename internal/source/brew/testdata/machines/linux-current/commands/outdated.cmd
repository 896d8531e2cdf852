/home/linuxbrew/.linuxbrew/bin/brew outdated --json=v2 --greedy
