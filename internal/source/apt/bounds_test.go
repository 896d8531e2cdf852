package apt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/machine"
)

// manyVersions is a list with n versions of one package.
func manyVersions(n int) string {
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "Package: a\nVersion: %d\nArchitecture: all\n\n", i)
	}
	return list.String()
}

func TestAListWithoutEndIsDamaged(t *testing.T) {
	found, _, err := scanPackages(strings.NewReader(manyVersions(maxFound+1)), func([]byte) bool { return true })
	if err == nil || len(found) != maxFound {
		t.Errorf("%d versions, %v", len(found), err)
	}
}

func TestAPackageOfTooManyVersionsIsDamageToItsListAlone(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir(), Runner: machine.Exec{}}
	var indexes []*index
	for i, list := range []string{manyVersions(maxVersions + 1), "Package: b\nVersion: 1\nArchitecture: all\n"} {
		name := fmt.Sprintf("/list%d", i)
		if err := os.WriteFile(filepath.Join(m.Root, name), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, &index{file: name, size: -1})
	}
	db := &Database{Packages: []*Package{{Name: "a", Version: "0", State: "installed"}, {Name: "b", Version: "0", State: "installed"}}}
	offered, err := scanIndexes(t.Context(), m, []*suite{{indexes: indexes}}, db, "amd64")
	if err == nil || !strings.Contains(err.Error(), "/list0") || strings.Contains(err.Error(), "/list1") {
		t.Errorf("the error is %v", err)
	}
	if a, b := len(offered[packageKey{"a", "amd64"}]), len(offered[packageKey{"b", "amd64"}]); a != maxVersions || b != 1 {
		t.Errorf("%d versions of a and %d of b", a, b)
	}
}

func TestAReleaseFileWithoutEndIsDamaged(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir()}
	line := strings.Repeat("x", 1000) + "\n"
	file := "Suite: here\nComponents: main\nX: " + strings.Repeat(" "+line, maxRelease/len(line))
	if err := os.WriteFile(filepath.Join(m.Root, "a_Release"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &suite{entry: entry{uri: uri{host: "a", path: "/"}, suite: "/"}}
	if err := s.readRelease(m, "/"); !errors.Is(err, machine.ErrTooLarge) {
		t.Errorf("the error is %v", err)
	}
}

func TestACompressedListWithoutEndIsCutOff(t *testing.T) {
	capped := newCapped(strings.NewReader(manyVersions(10)), 100)
	if _, n, err := scanPackages(capped, func([]byte) bool { return true }); n != 100 || !errors.Is(err, machine.ErrTooLarge) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
