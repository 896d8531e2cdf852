package tag

import (
	"regexp"
	"slices"
	"strings"
)

// architecture are the words whose digits name a processor.
var architecture = regexp.MustCompile(`^(?i:(?:amd|x|win|ppc|mips|loong|riscv|sparc)(?:32|64)(?:le|el)?|arm(?:32|64)?(?:v\d+)?(?:hf|el|l)?|aarch64|i[3-6]86|x86(?:_64)?|s390x?)$`)

// never are words of tags that follow something else than versions: a moving tag, a change that is under review, a commit.
var never = []string{"latest", "pr", "pull", "mr", "git", "commit"}

// attachments are what cosign and its kin store as tags beside an image.
var attachments = []string{".sig", ".att", ".sbom"}

// moving says whether a tag has no version by its words alone, whatever digits it holds.
func moving(tag string) bool {
	lower := strings.ToLower(tag)
	if strings.HasPrefix(lower, "sha") {
		return true
	}
	for _, end := range attachments {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return slices.ContainsFunc(strings.FieldsFunc(lower, isSeparator), func(word string) bool {
		return slices.Contains(never, word)
	})
}

// moves are the words of a suffix whose numbers may rise from one tag to the next. The numbers of every other word are a
// part of its name: php8.2, pg15, jdk17 and cuda12 are other programs, whose version is their user's choice.
var moves = map[string]bool{
	// The operating system below, which most images follow without asking.
	"alpine": true, "debian": true, "deb": true, "ubuntu": true, "ubi": true, "rhel": true, "el": true, "fedora": true, "fc": true,
	"centos": true, "rocky": true, "rockylinux": true, "alma": true, "almalinux": true, "ol": true, "oraclelinux": true,
	"amazonlinux": true, "amzn": true, "al": true, "photon": true, "opensuse": true, "leap": true, "sles": true,
	// Counters of builds and of repairs.
	"ls": true, "v": true, "r": true, "rev": true, "release": true, "build": true, "b": true, "rebuild": true, "p": true, "pl": true, "patch": true,
	"u": true, "update": true, "hotfix": true, "ce": true, "ee": true, "k3s": true, "rke2r": true,
	// Channels. They never turn into a release: 3.12-dev is a variant of 3.12.
	"dev": true, "develop": true, "nightly": true, "canary": true, "snapshot": true, "edge": true, "unstable": true, "testing": true,
}

func isSeparator(r rune) bool { return r == '-' || r == '.' || r == '_' }

// readSuffix splits what stands behind the numbers into what two tags must share and the numbers that may differ. In the
// former a # stands for such a number and a * for a commit, which has no order.
func readSuffix(s string) (shape string, build []string) {
	var b strings.Builder
	free := true       // a number without a word before it counts builds: 1.2.3-4
	processor := false // the v3 of x86-64-v3 is no counter
	for s != "" {
		separator, word, rest := cutWord(s)
		s = rest
		b.WriteString(separator)
		name := strings.TrimRight(word, digits)
		number := word[len(name):]
		switch {
		case isHash(word):
			b.WriteByte('*')
			free = true
			continue
		case name != "":
			free = moves[strings.ToLower(name)] && !processor
			processor = architecture.MatchString(word)
		}
		b.WriteString(name)
		if free && number != "" {
			b.WriteByte('#')
			build = append(build, number)
		} else {
			b.WriteString(number)
		}
	}
	return b.String(), build
}

// cutWord takes a separator, where one leads, and the word behind it.
func cutWord(s string) (separator, word, rest string) {
	if isSeparator(rune(s[0])) {
		separator, s = s[:1], s[1:]
	}
	end := strings.IndexFunc(s, isSeparator)
	if end < 0 {
		end = len(s)
	}
	return separator, s[:end], s[end:]
}
