# install.ps1 install|uninstall GUID:REVISION... one after the other, so that each has a result of its own.
$what, $words = $args
$found = @{}
foreach ($u in (Chosen $words).Updates) { $found[(Key $u)] = $u }
foreach ($word in $words) {
	$u = $found[$word]
	if ($null -eq $u) {
		Say @{ format = 1; update = $word; code = 4; error = '0x80240003' }
		continue
	}
	Say @{ format = 1; begins = $word; title = $u.Title }
	$one = New-Object -ComObject Microsoft.Update.UpdateColl
	[void]$one.Add($u)
	$installer = $session.CreateUpdateInstaller()
	$installer.ForceQuiet = $true
	$installer.Updates = $one
	try {
		if ($what -eq 'uninstall') { $all = $installer.Uninstall() } else { $all = $installer.Install() }
		$result = $all.GetUpdateResult(0)
		Say @{ format = 1; update = $word; code = [int]$result.ResultCode; error = (Hex $result.HResult); reboot = $result.RebootRequired }
	} catch {
		Say @{ format = 1; update = $word; code = 4; error = (Hex $_.Exception.GetBaseException().HResult) }
	}
}
Say @{ format = 1; done = $true }
