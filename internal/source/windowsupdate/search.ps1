# search.ps1 pending|installed|state online|offline [GUID:REVISION]...
$what, $how, $words = $args
$online = $how -eq 'online'
$result = switch ($what) {
	'pending' { Search '(IsInstalled=0 and IsHidden=0) or (IsInstalled=0 and IsHidden=1)' $online }
	'installed' { Search 'IsInstalled=1' $online }
	'state' { Chosen $words }
}
$updates = foreach ($u in $result.Updates) {
	@{
		id = $u.Identity.UpdateID; revision = $u.Identity.RevisionNumber; title = $u.Title; type = $u.Type
		kbs = @(foreach ($kb in $u.KBArticleIDs) { $kb }); cves = @(foreach ($cve in $u.CveIDs) { $cve })
		severity = $u.MsrcSeverity; categories = @(foreach ($c in $u.Categories) { $c.CategoryID })
		size = $u.MaxDownloadSize; hidden = $u.IsHidden; optional = $u.BrowseOnly; installed = $u.IsInstalled
		downloaded = $u.IsDownloaded; eula = $u.EulaAccepted; reboot = $u.InstallationBehavior.RebootBehavior
		input = $u.InstallationBehavior.CanRequestUserInput; uninstallable = $u.IsUninstallable; waits = $u.RebootRequired
	}
}
$policy = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate' -ErrorAction SilentlyContinue
$au = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' -ErrorAction SilentlyContinue
$wsus = ''
if ($au.UseWUServer -eq 1) { $wsus = $policy.WUServer }
$searched = ''
try { $searched = (New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastSearchSuccessDate.ToString('yyyy-MM-ddTHH:mm:ssZ', [Globalization.CultureInfo]::InvariantCulture) } catch { $searched = '' }
Say @{
	format = 1; code = [int]$result.ResultCode; wsus = $wsus; searched = $searched; updates = @($updates)
	warnings = @(foreach ($w in $result.Warnings) { @{ error = (Hex $w.HResult); message = $w.Message } })
}
