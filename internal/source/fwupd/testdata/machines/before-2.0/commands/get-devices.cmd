fwupdmgr --json get-devices
