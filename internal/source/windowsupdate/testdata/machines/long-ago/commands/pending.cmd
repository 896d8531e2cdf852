powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command & ([ScriptBlock]::Create($env:REDFLAG_SCRIPT)) 'pending' 'offline'
