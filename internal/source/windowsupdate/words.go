package windowsupdate

import (
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// hresult reads 0x8024402C; 0 where it is none.
func hresult(text string) uint32 {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// meaning is an HRESULT in words for people.
type meaning struct{ because, remedy string }

// What a person does about them.
const (
	asAdministrator = "run it as an administrator"
	checkNetwork    = "check the network and the proxy: netsh winhttp show proxy"
	repairStore     = "repair Windows' component store: DISM /Online /Cleanup-Image /RestoreHealth"
	tryLater        = "wait until it has ended, and try again"
	rebootFirst     = "reboot the machine, then try again"
	seeLog          = "see Windows' own log: Get-WindowsUpdateLog, C:\\Windows\\Logs\\CBS\\CBS.log"
)

// meanings are those of "WUA Success and Error Codes" and "Windows Update error codes by component" (Microsoft Learn) that administrators meet.
var meanings = map[uint32]meaning{
	0x80070005: {"access is denied", asAdministrator},
	0x8007000E: {"there is not enough memory", "free some memory, and try again"},
	0x80070020: {"a file is in use by another program", rebootFirst},
	0x80070070: {"the disk is full", "free some space"},
	0x80070422: {"the service Windows Update is disabled", "enable it: sc config wuauserv start= demand"},
	0x800705B4: {"it took too long", "try again; see whether the machine is very busy"},
	0x80070643: {"the installer of the update failed", seeLog},
	0x80070BC2: {"it takes effect with the next start", rebootFirst},
	0x800706BA: {"the service Windows Update does not answer", "see whether the service wuauserv runs"},
	0x80072EE2: {"the server for updates did not answer in time", checkNetwork},
	0x80072EE7: {"the server for updates has no address (DNS)", checkNetwork},
	0x80072EFD: {"the server for updates cannot be reached", checkNetwork},
	0x80072EFE: {"the connection to the server for updates was cut", checkNetwork},
	0x80072F8F: {"the certificate of the server for updates is not trusted, or the clock is wrong", "set the clock, and see the machine's root certificates"},
	0x80073701: {"parts of Windows that the update needs are missing", repairStore},
	0x80073712: {"Windows' component store is damaged", repairStore},
	0x800F0805: {"the update is not for this Windows", "plan again"},
	0x800F081E: {"the update is not for this Windows", "plan again"},
	0x800F081F: {"files that Windows needs for its repair are not there", repairStore},
	0x800F0821: {"Windows gave the installation up because it took too long", rebootFirst},
	0x800F0822: {"the installation failed in Windows' component store", seeLog},
	0x800F0823: {"a newer servicing stack must be installed first", "install the newest servicing stack update, then try again"},
	0x800F0825: {"this update cannot be uninstalled: Windows needs it", "restore the machine from a backup"},
	0x800F0831: {"an update on which this one builds is missing in Windows' component store", repairStore},
	0x800F0922: {"the installation failed: the system's reserved partition has too little room, or Windows could not be reached through a VPN", "make room in the system's reserved partition, or disconnect the VPN"},
	0x800F0988: {"Windows' component store is damaged", repairStore},
	0x80240001: {"Windows Update gives no service", "see whether the service wuauserv runs"},
	0x80240003: {"Windows does not know this update any more", "refresh, and plan again"},
	0x80240009: {"another installation is at work", tryLater},
	0x8024000B: {"it was cancelled", "try again"},
	0x80240016: {"another installation is at work, or a reboot is pending", "wait, or reboot the machine, then try again"},
	0x80240017: {"the update is not for this machine", "plan again"},
	0x80240019: {"an update that must be installed alone was installed together with others", "try again"},
	0x8024001E: {"the service was stopped meanwhile", "try again"},
	0x80240020: {"nobody is logged on, and this update needs somebody", "install it at the screen"},
	0x80240022: {"all of the updates failed", seeLog},
	0x80240023: {"the licence was not agreed to", "agree to it at the screen: Settings, Windows Update"},
	0x80240024: {"there is no such update", "refresh, and plan again"},
	0x80240025: {"a policy keeps people from Windows Update", "ask who administers this machine"},
	0x8024002B: {"the company's server for updates is too old", "ask who administers it"},
	0x8024002E: {"a policy forbids Windows Update", "see the policy DisableWindowsUpdateAccess"},
	0x80240032: {"the search was not understood", "report it with the output of `redflag doctor`"},
	0x80240034: {"the update could not be downloaded", checkNetwork},
	0x80240035: {"the update was not processed", "try again"},
	0x80240043: {"the search was blocked", "try again later"},
	0x80240044: {"only administrators may do this", asAdministrator},
	0x80240FFF: {"Windows Update failed without a reason", "try again; see whether a reboot is pending"},
	0x80242006: {"the update's data is damaged", "try again: Windows fetches it anew"},
	0x8024200B: {"the installer of the update failed", seeLog},
	0x8024200D: {"the update must be downloaded again", "try again"},
	0x80242014: {"the update takes effect with the next start", rebootFirst},
	0x80242016: {"what became of the update is not known before the next start", rebootFirst},
	0x80242017: {"a newer servicing stack must be installed first", "install the newest servicing stack update, then try again"},
	0x80244007: {"the server for updates has refused the machine", "see the server's log, or try again later"},
	0x80244010: {"the server for updates has more for this machine than one search takes", "try again: the next search goes on"},
	0x80244017: {"the server for updates, or the proxy, does not let this machine in (401)", checkNetwork},
	0x80244018: {"the server for updates, or the proxy, forbids it (403)", checkNetwork},
	0x80244019: {"the server for updates has no such page (404)", "see the address of the company's server for updates"},
	0x80244022: {"the server for updates is overloaded (503)", "try again later"},
	0x8024402C: {"the server for updates, or the proxy, has no address", checkNetwork},
	0x8024402F: {"the proxy or a filter has changed what came from the server for updates", checkNetwork},
	0x80244F80: {"the server for updates could not be asked", checkNetwork},
	0x80246007: {"the update was not downloaded", "try again"},
	0x80246008: {"the service for downloads (BITS) does not work", "see whether the service BITS runs"},
	0x80248007: {"Windows' database of updates lacks what is needed", "refresh, and plan again"},
	0x80248014: {"Windows' database of updates does not know where updates come from", "refresh, and plan again"},
	0x8024A10A: {"the service is being stopped", "try again later"},
	0x8024D009: {"Windows Update wants to renew itself, and is not let", "ask who administers the server for updates"},
	0x80040154: {"the Windows Update Agent is not installed in this Windows", "repair Windows: it is part of it"},
	0x80070002: {"a file that is needed is missing", repairStore},
	0x80070490: {"Windows' component store is damaged", repairStore},
	0x8007045B: {"the machine is shutting down", "try again when it is back"},
}

// explain gives an HRESULT in words; with its number, by which more can be found. Windows' own message is in its language, and stands for what is not known.
func explain(code, message string) (because, remedy string) {
	if known, ok := meanings[hresult(code)]; ok {
		return known.because + " (" + code + ")", known.remedy
	}
	if code = fleet.Plain(code); code == "" {
		code = "no code"
	}
	if message = fleet.Plain(message); message != "" {
		return "it failed with " + code + ": " + message, seeLog
	}
	return "it failed with " + code, seeLog
}
