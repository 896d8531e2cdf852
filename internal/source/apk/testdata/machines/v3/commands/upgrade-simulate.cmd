apk --cache-max-age 5256000 --simulate upgrade --no-self-upgrade
