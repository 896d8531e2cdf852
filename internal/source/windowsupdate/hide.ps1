# hide.ps1 true|false GUID:REVISION... hides updates, or shows them again.
$hide, $words = $args
foreach ($u in (Chosen $words).Updates) {
	$u.IsHidden = $hide -eq 'true'
	Say @{ format = 1; update = (Key $u); code = 2; error = '0x00000000' }
}
Say @{ format = 1; done = $true }
