package machine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

// registry plays reg.exe and PowerShell; what it prints is written from Microsoft's documentation and real outputs of it, not recorded.
type registry map[string]string

func (r registry) Run(_ context.Context, c Command) (Result, error) {
	name := c.Name
	if name == "reg.exe" {
		name = c.Args[1]
	}
	text, ok := r[name]
	if !ok {
		return Result{Code: 1, Stderr: []byte("FEHLER: Der angegebene Registrierungsschlüssel bzw. Wert wurde nicht gefunden.\r\n")}, nil
	}
	return Result{Stdout: []byte(text)}, nil
}

func (r registry) machine(t *testing.T) *Machine {
	return &Machine{Root: t.TempDir(), Runner: r, Now: time.Now}
}

const windows11 = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\r\n    SystemRoot    REG_SZ    C:\\WINDOWS\r\n    BaseBuildRevisionNumber    REG_DWORD    0x1\r\n" +
	"    ProductName    REG_SZ    Windows 10 Pro\r\n    DisplayVersion    REG_SZ    24H2\r\n    CurrentBuild    REG_SZ    26100\r\n    InstallationType    REG_SZ    Client\r\n" +
	"    CurrentMajorVersionNumber    REG_DWORD    0xa\r\n    CurrentMinorVersionNumber    REG_DWORD    0x0\r\n    CurrentVersion    REG_SZ    6.3\r\n    UBR    REG_DWORD    0x122c\r\n    Odd    REG_SZ    \x1b[2J\r\n" +
	"\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon\r\n"

func TestFactsOfWindowsAreThoseOfItsRegistry(t *testing.T) {
	r := registry{
		versionKey: windows11, updateKey: "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\r\n", servicingKey: "HKEY_LOCAL_MACHINE\\x\\Component Based Servicing\\Packages\r\n",
		firmwareKey: "HKEY_LOCAL_MACHINE\\HARDWARE\\DESCRIPTION\\System\\BIOS\r\n    SystemManufacturer    REG_SZ    Microsoft Corporation\r\n    SystemProductName    REG_SZ    Virtual Machine\r\n",
		bootKey:     "HKEY_LOCAL_MACHINE\\x\r\n    BootId    REG_DWORD    0x2f\r\n", idKey: "HKEY_LOCAL_MACHINE\\x\r\n    MachineGuid    REG_SZ    4c4c4544-0032-3510-8054-b9c04f4e4d32\r\n",
		"powershell.exe": "booted 2026-11-20T06:00:01Z\r\nreboot no\r\n",
	}
	m := r.machine(t)
	h := factsOfWindows(t.Context(), m)
	if h.OS != "Windows 11 Pro 24H2" || h.OSID != "windows" || h.OSVersion != "10.0.26100.4652" || h.Virtualisation != "hyper-v" || !h.BootedAt.Equal(time.Date(2026, 11, 20, 6, 0, 1, 0, time.UTC)) ||
		h.Reboot.Needed != fleet.NotNeeded || h.Restart.Needed != fleet.NeedUnknown || h.Restart.Because == "" {
		t.Errorf("%+v", h)
	}
	if m.windowsBootID() != "windows/47" || m.windowsID() != "4c4c4544-0032-3510-8054-b9c04f4e4d32" {
		t.Errorf("%q %q", m.windowsBootID(), m.windowsID())
	}
	server := parseRegistry([]byte(strings.NewReplacer("Windows 10 Pro", "Windows Server 2025 Standard", "Client", "Server").Replace(windows11)))
	old := parseRegistry([]byte("HKEY_X\r\n    ProductName    REG_SZ    Windows Server 2012 R2 Standard\r\n    CurrentVersion    REG_SZ    6.3\r\n    CurrentBuild    REG_SZ    9600\r\n"))
	if got := fmt.Sprint(windowsTitle(server), ", ", windowsTitle(old), " ", windowsVersion(old), ", ", windowsTitle(key{}), windowsVersion(key{})); got != "Windows Server 2025 Standard 24H2, Windows Server 2012 R2 Standard 6.3.9600, Windows" {
		t.Error(got)
	}
}

func TestARebootOfWindowsIsNeededNotNeededOrUnknown(t *testing.T) {
	const auto, cbs = "HKEY_LOCAL_MACHINE\\WindowsUpdate\\Auto Update", "HKEY_LOCAL_MACHINE\\Component Based Servicing"
	for name, c := range map[string]struct {
		r    registry
		need fleet.Need
		why  []string
	}{
		"all say no":                 {registry{updateKey: auto, servicingKey: cbs, "powershell.exe": "reboot no"}, fleet.NotNeeded, []string{}},
		"the agent says yes":         {registry{updateKey: auto + `\RebootRequired`, servicingKey: cbs, "powershell.exe": "reboot yes"}, fleet.Needed, []string{"Windows Update asks for it"}},
		"the agent is silent":        {registry{updateKey: auto, servicingKey: cbs}, fleet.NeedUnknown, []string{"the Windows Update Agent does not say whether a reboot is pending"}},
		"a key alone says yes":       {registry{updateKey: auto + `\RebootRequired`}, fleet.Needed, []string{"Windows Update asks for it"}},
		"the component store waits":  {registry{servicingKey: cbs + `\RebootPending`, "powershell.exe": "reboot no"}, fleet.Needed, []string{"Windows' component store waits for it"}},
		"one that only begins alike": {registry{servicingKey: cbs + `\RebootPendingX`, "powershell.exe": "reboot no"}, fleet.NotNeeded, []string{}},
		"no key can be read": {registry{"powershell.exe": "reboot no"}, fleet.NeedUnknown,
			[]string{`the registry does not say it: HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing cannot be read`}},
	} {
		m := c.r.machine(t)
		if got := m.windowsReboot(t.Context(), m.askWindows(t.Context())); got.Needed != c.need || !slices.Equal(got.Because, c.why) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzRegistry(f *testing.F) {
	f.Add([]byte(windows11))
	f.Add([]byte("booted 2026-11-20T06:00:01Z\nreboot yes\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		k := parseRegistry(out)
		if title := windowsTitle(k) + windowsVersion(k); title != fleet.Plain(title) && len(title) < fleet.PlainLimit {
			t.Errorf("%q", title)
		}
		if at := parseWindowsSaid(out).booted; at.Year() > 9999 {
			t.Error(at)
		}
	})
}
