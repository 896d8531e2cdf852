package winget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// answer is the line that the script prints.
type answer struct {
	Format   int    `json:"format"`
	Module   *bool  `json:"module"`
	Error    string `json:"error"`
	Message  string `json:"message"`
	Packages []row  `json:"packages"`
}

var errNoModule = errors.New("the module Microsoft.WinGet.Client is not installed")

// ask asks the module for everything that is installed.
func ask(ctx context.Context, m *machine.Machine) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := m.Run(ctx, machine.PowerShell(listScript))
	if errors.Is(err, machine.ErrNotInstalled) {
		return nil, errNoModule
	}
	if err != nil {
		return nil, &fleet.Unknown{Because: "winget cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see whether PowerShell runs: powershell -NoProfile -Command 1", Err: err}
	}
	a, err := parseAnswer(r.Stdout)
	switch {
	case err != nil:
		return nil, errNoModule // where PowerShell is not allowed to do this, the table is left
	case !*a.Module:
		return nil, errNoModule
	case a.Error != "":
		return nil, &fleet.Unknown{
			Because: fmt.Sprintf("the module Microsoft.WinGet.Client failed with %s: %s", fleet.Plain(a.Error), fleet.Plain(a.Message)), Remedy: "see what `Get-WinGetPackage` says in PowerShell",
		}
	}
	if len(a.Packages) == 0 {
		return nil, &fleet.Unknown{Because: "the module Microsoft.WinGet.Client lists nothing, and no Windows has nothing installed", Remedy: "see what `Get-WinGetPackage` says in PowerShell, as the same user"}
	}
	return a.Packages, nil
}

// parseAnswer reads the line of JSON among what PowerShell may print itself.
func parseAnswer(out []byte) (answer, error) {
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return answer{}, err
		}
		if a.Format == 1 && a.Module != nil {
			return a, nil
		}
	}
	return answer{}, errors.New("no answer")
}

// maxExport bounds what winget exports: 100 bytes for each package.
const maxExport = 16 << 20

// versions gives what is installed of what winget's sources know: by the module, or as winget exports it.
func versions(ctx context.Context, m *machine.Machine) (map[string]string, error) {
	rows, err := ask(ctx, m)
	installed := map[string]string{}
	if err == nil {
		for _, r := range rows {
			if r.Source != "" && packageID.MatchString(r.ID) {
				installed[r.ID] = fleet.Plain(r.Version)
			}
		}
		return installed, nil
	}
	if !errors.Is(err, errNoModule) {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redflag-winget-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := path.Join(dir, "export.json")
	r, err := run(ctx, m, "export", "--output", file, "--include-versions", "--accept-source-agreements", "--disable-interactivity")
	if err != nil {
		return nil, err
	}
	data, err := readExport(file)
	if err != nil || r.Code != 0 {
		because, remedy := explain(r.Code)
		return nil, &fleet.Unknown{Because: "winget does not say what is installed: " + because, Remedy: remedy, Err: err}
	}
	return parseExport(data)
}

func readExport(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxExport {
		return nil, machine.ErrTooLarge
	}
	return os.ReadFile(file)
}

// parseExport reads packages.schema.2.0.json: what each source has of what is installed.
func parseExport(data []byte) (map[string]string, error) {
	var export struct {
		Sources []struct {
			Packages []struct {
				PackageIdentifier string
				Version           string
			}
		}
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &export); err != nil || export.Sources == nil {
		return nil, unreadable("an export without sources")
	}
	installed := map[string]string{}
	for _, s := range export.Sources {
		for _, p := range s.Packages {
			if !packageID.MatchString(p.PackageIdentifier) || strings.ContainsRune(p.Version, '…') {
				return nil, unreadable(p.PackageIdentifier)
			}
			installed[p.PackageIdentifier] = fleet.Plain(p.Version)
		}
	}
	return installed, nil
}
