package winget

import "fmt"

// Codes with which winget says that there is nothing, which is no failure.
const (
	noPackage = 0x8A150014
	noUpdate  = 0x8A15002B
	noPin     = 0x8A150063
)

// meanings are winget's exit codes in words for people (its returnCodes.md and AppInstallerErrors.h).
var meanings = map[uint32]struct{ because, remedy string }{
	0x8A150001: {"an internal error", "see winget's log: winget --logs"},
	0x8A150002: {"this winget does not know an option that is needed", "update the App Installer"},
	0x8A150008: {"the installer could not be downloaded", "check the network"},
	0x8A15000A: {"its index is damaged", "winget source reset --force"},
	0x8A15000B: {"its sources are damaged", "winget source reset --force"},
	0x8A15000F: {"data of its source is missing", "winget source reset --force"},
	0x8A150010: {"no installer fits this machine", "look for another version"},
	0x8A150011: {"the installer is not what the source says (its checksum differs)", "wait until the source is corrected: never install it all the same"},
	0x8A150014: {"there is no such package", "refresh, and plan again"},
	0x8A150015: {"it has no sources", "winget source reset --force"},
	0x8A150016: {"several packages fit", "plan again"},
	0x8A150017: {"the version is not on offer any more", "refresh, and plan again"},
	0x8A150019: {"only administrators may do this", "run it as an administrator"},
	0x8A15001B: {"a policy forbids the Microsoft Store", "ask who administers this machine"},
	0x8A15002B: {"there is no update that fits", "refresh, and plan again"},
	0x8A15002D: {"the installer did not pass Windows' security check", "see what Defender says"},
	0x8A15003A: {"a policy forbids winget", "ask who administers this machine"},
	0x8A15003F: {"the source's data is damaged or was tampered with", "winget source reset --force"},
	0x8A150041: {"the licence was not agreed to", "see winget show"},
	0x8A150044: {"a source is not where it was", "check the network, and winget source list"},
	0x8A150045: {"a source could not be opened", "check the network, and winget source list"},
	0x8A150046: {"the terms of a source were not agreed to", "run winget list once, and agree"},
	0x8A15004B: {"sources could not be opened", "check the network, and winget source list"},
	0x8A15004F: {"the version is not newer than what is installed", "plan again"},
	0x8A150050: {"it cannot tell which version is installed", "install it by hand"},
	0x8A150056: {"the installer refuses to run as an administrator", "run it as the user who installed it"},
	0x8A15005E: {"the server's certificate is not the expected one", "see whether a proxy opens connections"},
	0x8A150060: {"the archive did not pass the scan for malware", "see what Defender says"},
	0x8A150062: {"it is pinned already", "winget pin list"},
	0x8A150063: {"it is not pinned", "winget pin list"},
	0x8A150068: {"it is pinned", "release it first: redflag unhold"},
	0x8A150101: {"the program is running", "end it, and try again"},
	0x8A150102: {"another installation is at work", "wait until it has ended, and try again"},
	0x8A150103: {"a file is in use", "end the program, and try again"},
	0x8A150104: {"something that it needs is missing", "see the log"},
	0x8A150105: {"the disk is full", "free some space"},
	0x8A150106: {"there is not enough memory", "end other programs, and try again"},
	0x8A150107: {"there is no network", "check the network"},
	0x8A150108: {"the installer failed", "see the log"},
	0x8A150109: {"a reboot must finish it", "reboot the machine"},
	0x8A15010A: {"a reboot is needed before", "reboot the machine, then try again"},
	0x8A15010B: {"the installer reboots the machine", "wait until it is back"},
	0x8A15010C: {"it was cancelled", "try again"},
	0x8A15010D: {"another version is installed already", "see winget list"},
	0x8A15010E: {"a newer version is installed", "see winget list"},
	0x8A15010F: {"a policy forbids the installation", "ask who administers this machine"},
	0x8A150110: {"what it needs could not be installed", "see the log"},
	0x8A150111: {"another program uses it", "end it, and try again"},
	0x8A150113: {"it does not support this machine", "look for another version"},
	0x8A150114: {"its installer cannot upgrade: the old version must be uninstalled first", "do that by hand"},
}

// explain gives an exit code in words, with its number, by which more can be found.
func explain(code int) (because, remedy string) {
	n := uint32(code) //nolint:gosec // Windows' exit codes have 32 bits
	if known, ok := meanings[n]; ok {
		return fmt.Sprintf("%s (0x%08X)", known.because, n), known.remedy
	}
	return fmt.Sprintf("it ended with code 0x%08X", n), "see winget's log: winget --logs"
}
