package tag

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// question is a current tag, the tags of its repository and what is offered.
type question struct {
	current    string
	candidates string // separated by spaces
	want       Best
}

func ask(t *testing.T, questions []question) {
	t.Helper()
	for _, q := range questions {
		if got := Newer(q.current, strings.Split(q.candidates, " ")); got != q.want {
			t.Errorf("Newer(%s, %s)\n got %+v\nwant %+v", q.current, q.candidates, got, q.want)
		}
	}
}

func TestNewerGivesTheBestOfEachLevel(t *testing.T) {
	ask(t, []question{
		{"1.25.3", "1.25.2 1.25.3 1.25.4 1.25.10 1.26.0 1.9.9 2.0.0 3.0.0 2.9 4", Best{"1.25.10", "1.26.0", "3.0.0"}},
		{"v1.2.3", "1.2.4 v1.2.4 V1.2.9", Best{Patch: "v1.2.4"}},
		{"1.25", "1.25.4 1.26 1.26.1 2.0 2", Best{Minor: "1.26", Major: "2.0"}},
		{"15", "16 16.1 15.4 17 14 v18", Best{Major: "17"}},
		{"v1", "v2 2 v1.5", Best{Major: "v2"}},
		{"22.04", "20.04 22.10 24.04 24.10 26.04.1 20240101", Best{Minor: "22.10", Major: "24.10"}},
		{"1.2.3.4", "1.2.3.5 1.2.4.0 1.3.0.0 2.0.0.0 1.2.3", Best{"1.2.4.0", "1.3.0.0", "2.0.0.0"}},
	})
}

func TestTheSystemBelowMayDiffer(t *testing.T) {
	ask(t, []question{
		{"15.3-alpine3.18", "15.3-alpine3.19 15.4-alpine3.18 15.4-alpine3.19 15.4-alpine 15.4 16.0-alpine3.19 16.1-bookworm",
			Best{"15.3-alpine3.19", "15.4-alpine3.19", "16.0-alpine3.19"}},
		{"15.3-alpine3.9", "15.3-alpine3.18 15.3-alpine3.10", Best{Patch: "15.3-alpine3.18"}},
		{"20-bookworm-slim", "21-bookworm-slim 22-bookworm 22-slim 20.1-bookworm-slim 22-bullseye-slim", Best{Major: "21-bookworm-slim"}},
		{"1.25.3-alpine-perl", "1.25.4-alpine 1.25.4-alpine-perl 1.25.4-perl 1.26.0-alpine3.18-perl", Best{Patch: "1.25.4-alpine-perl"}},
		{"1.25.3-debian-11-r5", "1.25.3-debian-11-r12 1.25.3-debian-12-r0 1.25.4-debian-12-r1", Best{Patch: "1.25.4-debian-12-r1"}},
		{"8.0.35-oracle", "8.0.36-oracle 8.0.36-debian 8.0.36 8.4.0-oracle 9.0.0-oraclelinux9", Best{"8.0.36-oracle", "8.4.0-oracle", ""}},
	})
}

func TestBuildsCountWhenTheNumbersAreEqual(t *testing.T) {
	ask(t, []question{
		{"1.2.3-ls215", "1.2.3-ls99 1.2.3-ls215 1.2.3-ls216 1.2.4-ls3 1.3.0-ls1 version-1.4.0", Best{"1.2.4-ls3", "1.3.0-ls1", ""}},
		{"1.2.3-ls215", "1.2.3-ls216", Best{Patch: "1.2.3-ls216"}},
		{"v1.28.3-k3s1", "v1.28.3-k3s2 v1.29.0-k3s1", Best{"v1.28.3-k3s2", "v1.29.0-k3s1", ""}},
		{"7.2.0-v6", "7.2.0-v10 7.4.0-v0 7.4.0", Best{Patch: "7.2.0-v10", Minor: "7.4.0-v0"}},
		{"1.2.3-4", "1.2.3-5 1.2.3", Best{Patch: "1.2.3-5"}},
		{"16.5.1-ce.0", "16.5.2-ce.0 16.6.0-ce.0 16.6.0-ee.0", Best{"16.5.2-ce.0", "16.6.0-ce.0", ""}},
		{"1.32.5.7349-8f4248874", "1.40.0.7998-c29d4c0c8 1.32.5.7349-aaaaaaa11 1.41.0.1-plexpass", Best{Minor: "1.40.0.7998-c29d4c0c8"}},
	})
}

func TestOtherProgramsInTheSuffixAreTheUsersChoice(t *testing.T) {
	ask(t, []question{
		{"6.4-php8.2-fpm", "6.4-php8.3-fpm 6.5-php8.2-fpm 6.6-php8.3-fpm", Best{Minor: "6.5-php8.2-fpm"}},
		{"2.11.0-pg15", "2.12.0-pg15 2.12.0-pg16", Best{Minor: "2.12.0-pg15"}},
		{"3.9.5-eclipse-temurin-17", "3.9.6-eclipse-temurin-17 3.9.6-eclipse-temurin-21", Best{Patch: "3.9.6-eclipse-temurin-17"}},
		{"17.0.9_9-jre", "17.0.9_10-jre 17.0.10_7-jre 17.0.10_7-jdk 21.0.1_12-jre 21-jre 17.0.10.7-jre", Best{"17.0.10_7-jre", "", "21.0.1_12-jre"}},
		{"8u402-b06-jdk", "8u412-b08-jdk 8u412-b08-jre 11u1-b01-jdk", Best{Patch: "8u412-b08-jdk", Major: "11u1-b01-jdk"}},
	})
}

func TestAnotherProcessorIsNotOffered(t *testing.T) {
	ask(t, []question{
		{"v1.2.3-amd64", "v1.2.4-amd64 v1.2.5-arm64 v1.2.6", Best{Patch: "v1.2.4-amd64"}},
		{"1.2.3-arm32v5", "1.2.3-arm32v7 1.2.4-arm64v8 1.2.4-arm32v5", Best{Patch: "1.2.4-arm32v5"}},
		{"arm64v8-1.2.3-ls2", "arm64v8-1.2.4-ls1 amd64-1.2.5-ls1 1.2.6-ls1", Best{Patch: "arm64v8-1.2.4-ls1"}},
		{"1.2.3-x86_64", "1.2.4-x86_64 1.2.5-aarch64", Best{Patch: "1.2.4-x86_64"}},
		{"1.2.3-x86-64-v2", "1.2.3-x86-64-v3 1.2.4-x86-64-v2", Best{Patch: "1.2.4-x86-64-v2"}},
		{"7.0-windowsservercore-ltsc2019", "7.0-windowsservercore-ltsc2022 7.1-windowsservercore-ltsc2019", Best{Minor: "7.1-windowsservercore-ltsc2019"}},
	})
}

func TestYearsAndDatesAreNotMixedWithVersions(t *testing.T) {
	ask(t, []question{
		{"2024.1.5", "2024.1.6 2024.2.0 2025.1.0 3.0.0 20250101", Best{"2024.1.6", "2024.2.0", "2025.1.0"}},
		{"3.1.0", "2024.1.0 3.2.0", Best{Minor: "3.2.0"}},
		{"20240101", "20240201 20231231 3 2025 99999999", Best{Minor: "20240201"}},
		{"3", "20240101 4 2024", Best{Major: "4"}},
		{"bookworm-20240101-slim", "bookworm-20240211-slim trixie-20250101-slim bookworm-20240311", Best{Minor: "bookworm-20240211-slim"}},
		{"20240101.1", "20240101.2 20240102.1", Best{Patch: "20240101.2", Minor: "20240102.1"}},
		{"RELEASE.2024-01-01T00-00-00Z", "RELEASE.2024-01-01T00-00-00Z.fips RELEASE.2024-02-03T04-05-06Z RELEASE.2023-12-31T23-59-59Z latest",
			Best{Minor: "RELEASE.2024-02-03T04-05-06Z"}},
		{"1.0-20240101", "1.0-20240301 1.1-20240201", Best{Patch: "1.0-20240301", Minor: "1.1-20240201"}},
		{"nightly-2024-01-05", "nightly-2024-02-01 2024-03-01", Best{Minor: "nightly-2024-02-01"}},
	})
}

func TestAPreReleaseIsOfferedToItsOwnKindOnly(t *testing.T) {
	ask(t, []question{
		{"2.0.0", "2.0.1-rc.1 2.1.0-beta 2.1.0-dev 2.1.0-nightly 2.1.0-M1 2.1.0-foo.1 2.0.1a1", Best{}},
		{"v2.0.0-rc.1", "v2.0.0-rc.2 v2.0.0-rc.10 v2.0.0-beta.11 v2.1.0-alpha.1 v1.9.9", Best{Patch: "v2.0.0-rc.10"}},
		{"v2.0.0-rc.1", "v2.0.0-rc.2 v2.0.0", Best{Patch: "v2.0.0"}},
		{"v2.0.0-rc.1-alpine", "v2.0.0 v2.0.1-alpine v2.1.0-RC.1-alpine", Best{Patch: "v2.0.1-alpine", Minor: "v2.1.0-RC.1-alpine"}},
		{"3.13.0b4-slim", "3.13.0rc1-slim 3.13.0b5-slim 3.14.0a1-slim", Best{Patch: "3.13.0b5-slim"}},
		{"3.13-rc", "3.13 3.14-rc 3.14-rc1", Best{Patch: "3.13", Minor: "3.14-rc"}},
		{"3.12-dev", "3.13 3.13-dev", Best{Minor: "3.13-dev"}},
		{"1.2.3-dev.5", "1.2.3-dev.6 1.2.4", Best{Patch: "1.2.3-dev.6"}},
	})
}

func TestWhatIsNoVersionIsNeitherOfferedNorCompared(t *testing.T) {
	ask(t, []question{
		{"latest", "1.0.0 2.0.0", Best{}},
		{"1.0.0", "latest sha256-aa11.sig sha-8f42488 8f42488 1.0.1.sig 1.0.1.att 1.0.1.sbom main-8f42488 latest-1.0.1", Best{}},
		{"pr-12", "pr-13", Best{}},
		{"i386", "i686", Best{}},
		{"1.2.3", "1.2.4\n 1.2.4/../../x 1.2.\u0664 -1.2.4 .1.2.4", Best{}},
	})
}

func TestNumbersOfAnySizeAreCompared(t *testing.T) {
	huge := strings.Repeat("9", 60)
	got := Newer("1.0."+huge, []string{"1.0.1" + huge, "1.0.18446744073709551616"})
	if want := (Best{Patch: "1.0.1" + huge}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTwoSpellingsOfOneVersionHaveAnOrder(t *testing.T) {
	for _, list := range [][]string{{"1.3", "1.03", "1.003"}, {"1.003", "1.03", "1.3"}} {
		if got := Newer("1.2", list); got.Minor != "1.003" {
			t.Errorf("Newer(1.2, %v) = %+v", list, got)
		}
	}
	if got := Newer("1.2", []string{"1.02"}); got != (Best{}) {
		t.Errorf("another spelling of the current version is offered: %+v", got)
	}
}

func TestVersionedTellsVersionsFromOtherTags(t *testing.T) {
	versions := "1 v1 15 1.25 1.25.3-alpine 20-bookworm-slim jdk-17.0.9_9-jre php8.2-fpm bookworm-20240101 2024.1.5 20240101 202401011230 " +
		"RELEASE.2024-01-01T00-00-00Z release-1.2 version-v1.2.3 alpine-3.19 alpine3.19 main-20240101-8f42488 v1234567 32 3.13-rc"
	for tag := range strings.FieldsSeq(versions) {
		if !Versioned(tag) {
			t.Errorf("%s is no version", tag)
		}
	}
	others := "latest stable bookworm main edge nightly latest-alpine3.19 sha-8f42488 sha256-0123456789abcdef.sig 1.2.3.sig " +
		"8f42488 1234567 main-1234567 deadbeef0 main-8f42488 amd64 arm64v8 x86_64 i386 linux-armv7 pr-12 git-1.2 _ -1 1/2 1:2 1.2\x00"
	for tag := range strings.FieldsSeq(others) {
		if Versioned(tag) {
			t.Errorf("%s is a version", tag)
		}
	}
	for _, tag := range []string{"", "1.2 3", "1" + strings.Repeat("0", 128)} {
		if Versioned(tag) {
			t.Errorf("%q is a version", tag)
		}
	}
}

// anyTag makes tags that are close enough to each other to be compared.
func anyTag() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		prefix := rapid.SampledFrom([]string{"", "", "v", "release-", "arm64v8-"}).Draw(t, "prefix")
		numbers := rapid.SliceOfN(rapid.SampledFrom([]string{"0", "1", "01", "2", "10", "2024", "20240101"}), 1, 4).Draw(t, "numbers")
		stage := rapid.SampledFrom([]string{"", "", "-rc.1", "-rc2", "b1", "-beta", "-dev"}).Draw(t, "stage")
		suffix := rapid.SampledFrom([]string{"", "", "-alpine", "-alpine3.18", "-alpine3.19", "-ls1", "-ls2", "-8f42488", "-php8.2", "-1"}).Draw(t, "suffix")
		return prefix + strings.Join(numbers, ".") + stage + suffix
	})
}

func TestTheOrderOfTheCandidatesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current := anyTag().Draw(t, "current")
		candidates := rapid.SliceOf(anyTag()).Draw(t, "candidates")
		shuffled := rapid.Permutation(candidates).Draw(t, "shuffled")
		if a, b := Newer(current, candidates), Newer(current, shuffled); a != b {
			t.Fatalf("%+v in one order, %+v in another", a, b)
		}
	})
}

func TestWhatIsOfferedIsACandidateAndNewer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkOffer(t, anyTag().Draw(t, "current"), rapid.SliceOf(anyTag()).Draw(t, "candidates"))
	})
}

func TestTheNewestHasNothingNewer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current := anyTag().Draw(t, "current")
		candidates := rapid.SliceOf(anyTag()).Draw(t, "candidates")
		for range candidates {
			best := Newer(current, candidates)
			if best == (Best{}) {
				return
			}
			current = slices.MaxFunc([]string{best.Patch, best.Minor, best.Major}, func(a, b string) int { return len(a) - len(b) })
		}
		if best := Newer(current, candidates); best != (Best{}) {
			t.Fatalf("after as many steps as there are candidates %s is still followed by %+v", current, best)
		}
	})
}

// checkOffer holds an answer to what Newer promises.
func checkOffer(t interface{ Fatalf(string, ...any) }, current string, candidates []string) {
	best := Newer(current, candidates)
	for _, offered := range []string{best.Patch, best.Minor, best.Major} {
		switch {
		case offered == "":
		case offered == current:
			t.Fatalf("%s is offered to itself", current)
		case !slices.Contains(candidates, offered):
			t.Fatalf("%s is no candidate", offered)
		case !Versioned(offered):
			t.Fatalf("%s is offered and no version", offered)
		case Newer(offered, []string{current}) != (Best{}):
			t.Fatalf("%s is offered to %s and the other way round", offered, current)
		}
	}
}

func FuzzNewer(f *testing.F) {
	f.Add("1.25.3-alpine3.18", "1.25.4-alpine3.19 1.26.0 latest")
	f.Add("jdk-17.0.9_9-jre", "jdk-17.0.10_7-jre jdk-21.0.1_12-jre")
	f.Add("RELEASE.2024-01-01T00-00-00Z", "RELEASE.2024-02-03T04-05-06Z")
	f.Add("v2.0.0-rc.1", "v2.0.0 v2.0.0-rc.2 v2.0.0-beta.3")
	f.Add("1.32.5.7349-8f4248874", "1.40.0.7998-c29d4c0c8")
	f.Add("3.13.0b4-slim", "3.13.0rc1-slim 3.13.0b5-slim")
	f.Add("arm64v8-1.2.3-ls2", "arm64v8-1.2.4-ls1")
	f.Fuzz(func(t *testing.T, current, list string) {
		candidates := append(strings.Split(list, " "), current)
		checkOffer(t, current, candidates)
		best := Newer(current, candidates)
		slices.Reverse(candidates)
		if again := Newer(current, candidates); again != best {
			t.Fatalf("%+v, in reverse %+v", best, again)
		}
	})
}

// BenchmarkNewer is a repository with as many tags as a registry is asked for.
func BenchmarkNewer(b *testing.B) {
	tags := make([]string, 0, 10_000)
	for i := range cap(tags) {
		tags = append(tags, fmt.Sprintf("1.%d.%d-alpine3.%d", i/100, i%100, i%20))
	}
	for b.Loop() {
		Newer("1.2.3-alpine3.18", tags)
	}
}
