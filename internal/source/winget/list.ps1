# Lists what is installed by the module Microsoft.WinGet.Client, as one line of JSON in UTF-8. Nothing here depends on the language of Windows.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$out = [Console]::OpenStandardOutput()
function Say($value) {
	$bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $value -Depth 4 -Compress) + [char]10)
	$out.Write($bytes, 0, $bytes.Length)
	$out.Flush()
}
if (-not (Get-Module -ListAvailable -Name Microsoft.WinGet.Client)) {
	Say @{ format = 1; module = $false }
	exit 0
}
try {
	Import-Module Microsoft.WinGet.Client
	$packages = foreach ($p in (Get-WinGetPackage)) {
		$available = ''
		$compared = ''
		if ($p.AvailableVersions.Count -gt 0) {
			$available = $p.AvailableVersions[0]
			$compared = [string]$p.CompareToVersion($available)
		}
		@{ id = $p.Id; name = $p.Name; version = $p.InstalledVersion; available = $available; compared = $compared; update = [bool]$p.IsUpdateAvailable; source = [string]$p.Source }
	}
	Say @{ format = 1; module = $true; packages = @($packages) }
} catch {
	$cause = $_.Exception.GetBaseException()
	Say @{ format = 1; module = $true; error = ('0x{0:X8}' -f $cause.HResult); message = $cause.Message }
	exit 1
}
