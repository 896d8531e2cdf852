# What every script here begins with. Answers are lines of JSON in UTF-8, whatever the console's code page is; nothing here depends on the language of Windows.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$out = [Console]::OpenStandardOutput()
function Say($value) {
	$bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $value -Depth 6 -Compress) + [char]10)
	$out.Write($bytes, 0, $bytes.Length)
	$out.Flush()
}
function Hex($number) { '0x{0:X8}' -f $number }
trap {
	$cause = $_.Exception.GetBaseException()
	Say @{ format = 1; error = (Hex $cause.HResult); message = $cause.Message }
	exit 1
}
$session = New-Object -ComObject Microsoft.Update.Session
$session.ClientApplicationID = 'RedFlag'
function Search($criteria, $online) {
	$searcher = $session.CreateUpdateSearcher()
	$searcher.Online = $online
	$searcher.IncludePotentiallySupersededUpdates = $false
	$searcher.Search($criteria)
}
# Chosen gives the updates of GUID:REVISION words, from what Windows knows already.
function Chosen($words) {
	$each = foreach ($word in $words) {
		$id, $revision = $word -split ':'
		'(UpdateID=''' + $id + ''' and RevisionNumber=' + $revision + ')'
	}
	Search ($each -join ' or ') $false
}
function Key($update) { $update.Identity.UpdateID + ':' + $update.Identity.RevisionNumber }
