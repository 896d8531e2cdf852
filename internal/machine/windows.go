package machine

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Keys of the registry, below HKEY_LOCAL_MACHINE.
const (
	versionKey   = `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	updateKey    = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update`
	servicingKey = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing`
	bootKey      = `HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	firmwareKey  = `HKLM\HARDWARE\DESCRIPTION\System\BIOS`
	idKey        = `HKLM\SOFTWARE\Microsoft\Cryptography`
)

// key is what a key of the registry holds: its values by their names, and the last words of its subkeys.
type key struct {
	values  map[string]string
	subkeys map[string]bool
	// known: it is there, and could be read.
	known bool
}

// windowsPatience bounds a question to Windows itself.
const windowsPatience = time.Minute

// registry reads a key by reg.exe, which prints names and values in no language.
func (m *Machine) registry(ctx context.Context, name string) key {
	ctx, cancel := context.WithTimeout(ctx, windowsPatience)
	defer cancel()
	r, err := m.Run(ctx, Command{Name: "reg.exe", Args: []string{"query", name}, Limit: maxFact})
	if err != nil || r.Code != 0 {
		return key{}
	}
	return parseRegistry(r.Stdout)
}

// value is a line of reg.exe's: four spaces, the name, the type and the data.
var value = regexp.MustCompile(`^ {4}(.*?) {4}REG_([A-Z_]+)(?: {4}(.*))?$`)

// parseRegistry reads what reg.exe prints of a key.
func parseRegistry(out []byte) key {
	k := key{values: map[string]string{}, subkeys: map[string]bool{}}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if found := value.FindStringSubmatch(line); found != nil {
			k.values[found[1]] = fleet.Plain(found[3])
			k.known = true
		} else if strings.HasPrefix(line, "HKEY_") {
			k.subkeys[line[strings.LastIndexByte(line, '\\')+1:]] = true
			k.known = true
		}
	}
	return k
}

// number reads a REG_DWORD: 0x1a2b.
func (k key) number(name string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(k.values[name], "0x"), 16, 64)
	return n, err == nil
}

func factsOfWindows(ctx context.Context, m *Machine) fleet.Host {
	h := identity(m, "Windows", "windows")
	v := m.registry(ctx, versionKey)
	h.OS, h.OSVersion = windowsTitle(v), windowsVersion(v)
	h.Kernel = h.OSVersion
	if firmware := m.registry(ctx, firmwareKey); firmware.known {
		h.Virtualisation = bareMetal
		if word := firmwareWord(firmware.values["SystemProductName"], firmware.values["SystemManufacturer"], firmware.values["BIOSVendor"]); word != "" {
			h.Virtualisation = word
		}
	}
	said := m.askWindows(ctx)
	h.BootedAt = said.booted
	h.Reboot = m.windowsReboot(ctx, said)
	h.Restart = fleet.Restart{
		Needed: fleet.NeedUnknown, Services: []fleet.Service{},
		Because: "Windows does not tell which services run replaced files: where one does, it asks for a reboot",
	}
	return h
}

// firstOf11 is the first build of Windows 11, whose registry goes on to say Windows 10.
const firstOf11 = 22000

// windowsTitle is the name for people: Windows 11 Pro 24H2.
func windowsTitle(v key) string {
	name := v.values["ProductName"]
	if name == "" {
		return "Windows"
	}
	build, err := strconv.Atoi(v.values["CurrentBuild"])
	if err == nil && build >= firstOf11 && v.values["InstallationType"] != "Server" && v.values["InstallationType"] != "Server Core" {
		name = strings.Replace(name, "Windows 10", "Windows 11", 1)
	}
	if release := v.values["DisplayVersion"]; release != "" {
		name += " " + release
	}
	return fleet.Plain(name)
}

// windowsVersion is 10.0.26100.4652: the last number is the update's.
func windowsVersion(v key) string {
	build := v.values["CurrentBuild"]
	if build == "" {
		return ""
	}
	major, ok := v.number("CurrentMajorVersionNumber")
	minor, ok2 := v.number("CurrentMinorVersionNumber")
	text := v.values["CurrentVersion"] // before Windows 10
	if ok && ok2 {
		text = fmt.Sprintf("%d.%d", major, minor)
	}
	if revision, ok := v.number("UBR"); ok {
		build += "." + strconv.FormatUint(revision, 10)
	}
	return fleet.Plain(text + "." + build)
}

// rebootScript asks the Windows Update Agent whether a reboot is pending, and when Windows has started. Each line stands for itself, and is in no language.
const rebootScript = `# reboot
$ErrorActionPreference = 'SilentlyContinue'
$booted = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime()
'booted ' + $booted.ToString('yyyy-MM-ddTHH:mm:ss', [Globalization.CultureInfo]::InvariantCulture) + 'Z'
$pending = (New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired
if ($pending -eq $true) { 'reboot yes' }
if ($pending -eq $false) { 'reboot no' }
`

// windowsSaid is what Windows says by it.
type windowsSaid struct {
	booted time.Time
	reboot fleet.Need
}

func (m *Machine) askWindows(ctx context.Context) windowsSaid {
	ctx, cancel := context.WithTimeout(ctx, windowsPatience)
	defer cancel()
	r, err := m.Run(ctx, PowerShell(rebootScript))
	if err != nil {
		return windowsSaid{reboot: fleet.NeedUnknown}
	}
	return parseWindowsSaid(r.Stdout)
}

func parseWindowsSaid(out []byte) windowsSaid {
	said := windowsSaid{reboot: fleet.NeedUnknown}
	for line := range strings.Lines(string(out)) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case word == "booted":
			if at, err := time.Parse(time.RFC3339, rest); err == nil && at.Unix() > 0 && at.Unix() <= maxUnix {
				said.booted = at.UTC()
			}
		case word == "reboot" && rest == "yes":
			said.reboot = fleet.Needed
		case word == "reboot" && rest == "no":
			said.reboot = fleet.NotNeeded
		}
	}
	return said
}

// windowsReboot asks the Update Agent and the two keys in which Windows notes it. Files that are to be renamed at the next start (PendingFileRenameOperations)
// are none of its signs: many programs leave some behind for ever.
func (m *Machine) windowsReboot(ctx context.Context, said windowsSaid) fleet.Reboot {
	reasons, doubts := []string{}, []string{}
	switch said.reboot {
	case fleet.Needed:
		reasons = append(reasons, "Windows Update asks for it")
	case fleet.NeedUnknown:
		doubts = append(doubts, "the Windows Update Agent does not say whether a reboot is pending")
	}
	if k := m.registry(ctx, updateKey); k.subkeys["RebootRequired"] && said.reboot != fleet.Needed {
		reasons = append(reasons, "Windows Update asks for it")
	}
	switch k := m.registry(ctx, servicingKey); {
	case k.subkeys["RebootPending"]:
		reasons = append(reasons, "Windows' component store waits for it")
	case !k.known:
		doubts = append(doubts, `the registry does not say it: HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing cannot be read`)
	}
	switch {
	case len(reasons) > 0:
		return fleet.Reboot{Needed: fleet.Needed, Because: reasons}
	case len(doubts) > 0:
		return fleet.Reboot{Needed: fleet.NeedUnknown, Because: doubts}
	}
	return fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
}

// windowsBootID is the number that Windows counts its starts by; empty where it does not say.
func (m *Machine) windowsBootID() string {
	n, ok := m.registry(context.Background(), bootKey).number("BootId")
	if !ok {
		return ""
	}
	return "windows/" + strconv.FormatUint(n, 10)
}

// windowsID is the machine's own ID, which its installation has made.
func (m *Machine) windowsID() string {
	return m.registry(context.Background(), idKey).values["MachineGuid"]
}

// rebootWindows reboots at once, as planned for updates of the system (reasons 2:17 of shutdown.exe).
func (m *Machine) rebootWindows(ctx context.Context) error {
	r, err := m.Run(ctx, Command{Name: "shutdown.exe", Args: []string{"/r", "/t", "0", "/d", "p:2:17"}})
	if err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	if r.Code != 0 {
		return &fleet.Unknown{Because: fmt.Sprintf("the reboot was refused (code %d): %s", r.Code, said(r.Stderr)), Remedy: "reboot it by hand"}
	}
	return nil
}
