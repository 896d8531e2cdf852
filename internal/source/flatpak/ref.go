package flatpak

import (
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// ref names what can be installed: app/org.demo.App/x86_64/stable.
type ref struct{ kind, id, arch, branch string }

func (r ref) String() string { return r.kind + "/" + r.id + "/" + r.arch + "/" + r.branch }

// kinds are what a ref can be, and the folders that they are installed in.
var kinds = []string{"app", "runtime"}

// refParts are what the parts of a ref may be (flatpak-run(1), and the rules of D-Bus names).
var refParts = regexp.MustCompile(`^(app|runtime)/([A-Za-z0-9_][A-Za-z0-9_.-]*)/([A-Za-z0-9_][A-Za-z0-9_-]*)/([A-Za-z0-9_][A-Za-z0-9_.-]*)$`)

// parseRef reads a whole ref; ok where it is one.
func parseRef(text string) (ref, bool) {
	found := refParts.FindStringSubmatch(text)
	if found == nil || len(text) > maxName {
		return ref{}, false
	}
	return ref{found[1], found[2], found[3], found[4]}, true
}

// maxName bounds a ref: 255 is what the parts of D-Bus names have at most.
const maxName = 1000

// usual is the branch that nearly everything has, and that a name leaves out.
const usual = "stable"

// name is what a ref goes by: its ID, with the branch where that is not the usual one, and with whose it is where it is not the system's.
func (i installation) name(r ref) string {
	name := r.id
	if r.branch != usual {
		name += ":" + r.branch
	}
	return name + i.mark
}

// named gives what goes by a name in this installation: the ID and the branch.
func (i installation) named(name string) (id, branch string, ok bool) {
	bare, ok := strings.CutSuffix(name, i.mark)
	if !ok || i.mark == "" && strings.Contains(name, "@") {
		return "", "", false
	}
	id, branch, found := strings.Cut(bare, ":")
	if !found {
		branch = usual
	}
	return id, branch, true
}

// commitText is a commit of OSTree's: a SHA-256.
var commitText = regexp.MustCompile(`^[0-9a-f]{64}$`)

// algorithm comes before a commit where people see it, who then know it for what it is, and see its beginning.
const algorithm = "sha256:"

// isCommit says whether what people see is a commit.
func isCommit(version string) bool {
	commit, ok := strings.CutPrefix(version, algorithm)
	return ok && commitText.MatchString(commit)
}

// glob is what a * of a mask stands for (flatpak-mask(1)).
const glob = `[A-Za-z0-9_.-]*`

// covers says whether a mask's pattern covers a ref. Parts that it leaves out or leaves empty may be anything; so may the kind.
func covers(pattern string, r ref) bool {
	kind, rest, found := strings.Cut(pattern, "/")
	if !found || !slices.Contains(kinds, kind) {
		kind, rest = "", pattern
	}
	if kind != "" && kind != r.kind {
		return false
	}
	parts := strings.Split(rest, "/")
	if len(parts) > 3 {
		return false
	}
	for at, part := range parts {
		is := []string{r.id, r.arch, r.branch}[at]
		if part == "" && at > 0 {
			continue
		}
		text := "^" + strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, glob) + "$"
		if ok, err := regexp.MatchString(text, is); err != nil || !ok {
			return false
		}
	}
	return true
}

// covering gives the mask that covers a ref; empty where none does.
func covering(masks []string, r ref) string {
	for _, pattern := range masks {
		if covers(pattern, r) {
			return fleet.Plain(pattern)
		}
	}
	return ""
}
