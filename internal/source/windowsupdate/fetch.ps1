# fetch.ps1 GUID:REVISION... downloads updates; their licences are accepted, as was approved.
foreach ($u in (Chosen $args).Updates) {
	if (-not $u.EulaAccepted) { $u.AcceptEula() }
	$code = 2
	$cause = 0
	if (-not $u.IsDownloaded) {
		$one = New-Object -ComObject Microsoft.Update.UpdateColl
		[void]$one.Add($u)
		$downloader = $session.CreateUpdateDownloader()
		$downloader.Updates = $one
		$result = $downloader.Download().GetUpdateResult(0)
		$code = $result.ResultCode
		$cause = $result.HResult
	}
	Say @{ format = 1; update = (Key $u); title = $u.Title; code = [int]$code; error = (Hex $cause) }
}
Say @{ format = 1; done = $true }
