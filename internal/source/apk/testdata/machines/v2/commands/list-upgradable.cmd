apk --cache-max-age 5256000 list --upgradable
