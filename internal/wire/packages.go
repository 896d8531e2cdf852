package wire

import (
	"encoding/json"
	"fmt"
	"strings"

	"redflag/internal/fleet"
)

// PackageList is a list of packages. Its JSON is one text with a line for each, whose fields stand between tabs: source, name,
// architecture, version, source package, its version, ecosystem, module; empty ones at the end are left out. A host has a thousand packages, and as
// objects they would be most of what a server has to read.
type PackageList []fleet.Package

// packageFields is how many fields a line has at most.
const packageFields = 8

// MarshalJSON implements json.Marshaler. Texts with tabs or line ends in them, which no package manager has, are made plain.
func (l PackageList) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	for i, p := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		fields := [packageFields]string{p.Source, p.Name, p.Arch, p.Version, p.From, p.FromVersion, p.Ecosystem, p.Module}
		n := packageFields
		for n > 1 && fields[n-1] == "" {
			n--
		}
		for j, f := range fields[:n] {
			if j > 0 {
				b.WriteByte('\t')
			}
			if strings.ContainsAny(f, "\t\n") {
				f = fleet.Plain(f)
			}
			b.WriteString(f)
		}
	}
	return json.Marshal(b.String())
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *PackageList) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*l = PackageList{}
	if text == "" {
		return nil
	}
	if n := strings.Count(text, "\n"); n >= MaxPackages {
		return fmt.Errorf("%w: more than %d packages", ErrBounds, MaxPackages)
	}
	for line := range strings.SplitSeq(text, "\n") {
		var fields [packageFields]string
		n := 0
		for f := range strings.SplitSeq(line, "\t") {
			if n == packageFields {
				return fmt.Errorf("%w: a package with more than %d fields", ErrBounds, packageFields)
			}
			fields[n] = f
			n++
		}
		*l = append(*l, fleet.Package{Source: fields[0], Name: fields[1], Arch: fields[2], Version: fields[3], From: fields[4], FromVersion: fields[5], Ecosystem: fields[6], Module: fields[7]})
	}
	return nil
}
