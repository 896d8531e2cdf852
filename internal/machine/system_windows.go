package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"redflag/internal/fleet"
)

// rootFolder is where this computer's file system begins: Windows' own disk.
func rootFolder() string {
	if drive := os.Getenv("SystemDrive"); len(drive) == 2 && drive[1] == ':' {
		return drive + `\`
	}
	return `C:\`
}

// searchPath is where programs are looked for: fixed, so that a user's own programs do not matter. Last come the aliases of programs from the Store, which are
// a user's own; the system's account has none.
func searchPath() []string {
	root := rootFolder()
	system := filepath.Join(root, "Windows", "System32")
	list := []string{system, filepath.Join(root, "Windows"), filepath.Join(system, "Wbem"), filepath.Join(system, "WindowsPowerShell", "v1.0")}
	list = append(list, ofChocolatey(root)...)
	if local := os.Getenv("LocalAppData"); filepath.IsAbs(local) && !Administers() {
		list = append(list, filepath.Join(local, "Microsoft", "WindowsApps"))
	}
	return list
}

// ofChocolatey gives the folder of Chocolatey's programs. Every user may make one of that name where there is none, so administrators run nothing of one that somebody else
// has made.
func ofChocolatey(root string) []string {
	dir := filepath.Join(root, "ProgramData", "chocolatey")
	programs := filepath.Join(dir, "bin")
	if Administers() && (trusted(dir) != nil || trusted(programs) != nil) {
		return nil
	}
	return []string{programs}
}

// systemVariables are those without which Windows' own programs, and installers, do not find what they need.
var systemVariables = []string{
	"ALLUSERSPROFILE", "APPDATA", "ChocolateyInstall", "CommonProgramFiles", "CommonProgramFiles(x86)", "CommonProgramW6432", "COMPUTERNAME", "ComSpec", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS",
	"PATHEXT", "PROCESSOR_ARCHITECTURE", "ProgramData", "ProgramFiles", "ProgramFiles(x86)", "ProgramW6432", "PUBLIC", "SystemDrive", "SystemRoot", "TEMP", "TMP", "USERDOMAIN", "USERNAME",
	"USERPROFILE", "windir",
}

// ourPlaces are the folders of the system's administrator in which RedFlag keeps its own files, as this program names them on every system, and below what
// they are on Windows: its users may make folders in the root of its disk, and would be trusted with what belongs to root.
var ourPlaces = []struct{ name, windows string }{
	{"/var/lib/redflag", "/ProgramData/redflag/state"},
	{"/var/cache/redflag", "/ProgramData/redflag/cache"},
	{"/etc/redflag", "/ProgramData/redflag/config"},
}

// ourName gives the name that one of RedFlag's own files has on this system; any other keeps its own.
func ourName(name string) string {
	for _, p := range ourPlaces {
		if rest, ok := strings.CutPrefix(name, p.name); ok && (rest == "" || rest[0] == '/') {
			return p.windows + rest
		}
	}
	return name
}

// tokenElevation is TokenElevation of TOKEN_INFORMATION_CLASS (winnt.h).
const tokenElevation = 20

// Administers says whether we may change this computer: whether we run with an administrator's full rights, or as the system.
func Administers() bool {
	token, err := syscall.OpenCurrentProcessToken()
	if err != nil {
		return false
	}
	defer token.Close()
	var elevated, n uint32
	err = syscall.GetTokenInformation(token, tokenElevation, (*byte)(unsafe.Pointer(&elevated)), uint32(unsafe.Sizeof(elevated)), &n)
	return err == nil && elevated != 0
}

var (
	advapi32  = syscall.NewLazyDLL("advapi32.dll")
	kernel32  = syscall.NewLazyDLL("kernel32.dll")
	toSD      = advapi32.NewProc("ConvertStringSecurityDescriptorToSecurityDescriptorW")
	setFileSD = advapi32.NewProc("SetFileSecurityW")
	getFileSD = advapi32.NewProc("GetFileSecurityW")
	ownerOfSD = advapi32.NewProc("GetSecurityDescriptorOwner")
	ticks     = kernel32.NewProc("GetTickCount64")
)

const (
	// administratorsOnly lets the system and administrators in, and nobody else, whatever the folder above says (Security Descriptor Definition Language).
	administratorsOnly = "O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	// ownerAndDACL is OWNER_, DACL_ and PROTECTED_DACL_SECURITY_INFORMATION (winnt.h), and revision SDDL_REVISION_1.
	ownerOnly    = 0x00000001
	ownerAndDACL = 0x80000005
	revision     = 1
	// maxSD bounds what is read of a file's security: the owner stands in 100 bytes.
	maxSD = 64 << 10
)

// MakeFolder makes a folder, and those above it, for its owner only: an administrator's for administrators, a user's as their own folders are. One that is
// there stays as it is.
func MakeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := MakeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil // somebody was faster
		}
		return err
	}
	if !Administers() {
		return nil
	}
	return protect(dir)
}

// protect closes a folder that was just made, and is empty.
func protect(dir string) error {
	text, err := syscall.UTF16PtrFromString(administratorsOnly)
	if err != nil {
		return err
	}
	name, err := syscall.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	var sd syscall.Handle
	if ok, _, err := toSD.Call(uintptr(unsafe.Pointer(text)), revision, uintptr(unsafe.Pointer(&sd)), 0); ok == 0 {
		return fmt.Errorf("protect %s: %w", dir, err)
	}
	defer syscall.LocalFree(sd) //nolint:errcheck // memory of ours
	if ok, _, err := setFileSD.Call(uintptr(unsafe.Pointer(name)), ownerAndDACL, uintptr(sd)); ok == 0 {
		return fmt.Errorf("protect %s: %w", dir, err)
	}
	return nil
}

// trusted refuses a folder for administrators that somebody else has made, who could read and change what lies in it. On Windows every user may make one in
// ProgramData.
func trusted(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil // it is not there yet: we shall make it
	}
	owner, err := ownerSID(dir)
	if err != nil {
		return fmt.Errorf("see whose folder %s is: %w", dir, err)
	}
	ours := []string{"S-1-5-18", "S-1-5-32-544"} // the system, administrators
	if token, err := syscall.OpenCurrentProcessToken(); err == nil {
		defer token.Close()
		if u, err := token.GetTokenUser(); err == nil {
			if text, err := u.User.Sid.String(); err == nil {
				ours = append(ours, text)
			}
		}
	}
	if slices.Contains(ours, owner) {
		return nil
	}
	return &fleet.Unknown{Because: dir + " belongs to somebody who is no administrator (" + owner + ")", Remedy: "look at what is in it, delete it, and try again"}
}

func ownerSID(file string) (string, error) {
	name, err := syscall.UTF16PtrFromString(file)
	if err != nil {
		return "", err
	}
	sd := make([]byte, maxSD)
	var n, byDefault uint32
	if ok, _, err := getFileSD.Call(uintptr(unsafe.Pointer(name)), ownerOnly, uintptr(unsafe.Pointer(&sd[0])), uintptr(len(sd)), uintptr(unsafe.Pointer(&n))); ok == 0 {
		return "", err
	}
	var owner *syscall.SID
	if ok, _, err := ownerOfSD.Call(uintptr(unsafe.Pointer(&sd[0])), uintptr(unsafe.Pointer(&owner)), uintptr(unsafe.Pointer(&byDefault))); ok == 0 {
		return "", err
	}
	return owner.String()
}

// give lets a command that is begun have files beyond the three usual ones. Windows has no descriptors beyond those: it holds them open, which is what a lock
// needs, and cannot write to them.
func give(cmd *exec.Cmd, files []*os.File) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	for _, f := range files {
		h := syscall.Handle(f.Fd())
		if err := syscall.SetHandleInformation(h, syscall.HANDLE_FLAG_INHERIT, syscall.HANDLE_FLAG_INHERIT); err == nil {
			cmd.SysProcAttr.AdditionalInheritedHandles = append(cmd.SysProcAttr.AdditionalInheritedHandles, h)
		}
	}
}

// uptime is how long this computer has run, in seconds: a clock that nobody sets.
func uptime() float64 {
	low, high, _ := ticks.Call()
	_ = high // of a machine with registers of 32 bits alone
	return (time.Duration(low) * time.Millisecond).Seconds()
}
