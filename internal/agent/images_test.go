package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/registry"
	"redflag/internal/wire"
)

var _ registry.Shared = (*Images)(nil)

func tagged(t testing.TB, name string) reference.NamedTagged {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return named.(reference.NamedTagged)
}

// asking is an agent whose server answers what a test says.
func asking(t *testing.T, answer func(q wire.ImageQuestions) string) *Images {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var q wire.ImageQuestions
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := wire.Unpack(body, r.Header.Get("Content-Encoding"), wire.MaxImages, &q); err != nil {
			t.Error(err)
		}
		if err := q.Check(); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, answer(q))
	}))
	t.Cleanup(srv.Close)
	signer := wire.Signer{KeyID: "x", Key: make([]byte, 64)}
	return NewImages(&wire.Client{Server: srv.URL, Signer: signer}, func() time.Time { return monday })
}

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestAnswersAboutImagesAreThoseOfTheReferencesThatWereAsked(t *testing.T) {
	i := asking(t, func(wire.ImageQuestions) string {
		return `{"digests":{
			"docker.io/library/b:1":{"digest":"sha256:bb","media_type":"m","size":3,"age_seconds":60},
			"docker.io/library/a:1":{"digest":"sha256:aa","age_seconds":-60},
			"a:1":{"digest":"sha256:cc"},"":{"digest":"sha256:cc"}}}`
	})
	long := tagged(t, strings.Repeat("a", wire.MaxReference)+".example/c:1")
	got, err := i.Digests(t.Context(), []reference.NamedTagged{tagged(t, "a:1"), long, tagged(t, "b:1"), tagged(t, "c:1")})
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[1] != (registry.Answer{}) || got[3] != (registry.Answer{}) {
		t.Errorf("what was not answered: %+v and %+v", got[1], got[3])
	}
	if want := (registry.Answer{Digest: "sha256:bb", MediaType: "m", Size: 3, CheckedAt: monday.Add(-time.Minute)}); got[2] != want {
		t.Errorf("got %+v, want %+v", got[2], want)
	}
	if l, err := i.TagList(t.Context(), long); err != nil || l.Tags != nil {
		t.Errorf("tags of a name that is too long: %+v, %v", l, err)
	}
	if !got[0].CheckedAt.IsZero() {
		t.Errorf("an answer of the future is of %v", got[0].CheckedAt)
	}
}

func TestMoreImagesThanFitOneQuestionAreAskedInSeveral(t *testing.T) {
	var refs []reference.NamedTagged
	for n := range wire.MaxReferences + 1 {
		refs = append(refs, tagged(t, fmt.Sprintf("app%d:1", n)))
	}
	i := asking(t, func(q wire.ImageQuestions) string {
		return fmt.Sprintf(`{"digests":{%q:{"digest":"sha256:aa"}}}`, q.References[len(q.References)-1])
	})
	got, err := i.Digests(t.Context(), refs)
	if err != nil || len(got) != len(refs) {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for n, a := range got {
		if last := n >= wire.MaxReferences-1; (a.Digest != "") != last {
			t.Errorf("answer %d: %+v", n, a)
		}
	}
}

func TestAListOfTagsIsAsOldAsTheServerSays(t *testing.T) {
	for answer, want := range map[string]registry.TagList{
		`{}`: {},
		`{"tags":{"tags":["1","2"],"age_seconds":60}}`:              {Tags: []string{"1", "2"}, CheckedAt: monday.Add(-time.Minute)},
		`{"tags":{"tags":["1"],"age_seconds":-1}}`:                  {Tags: []string{"1"}},
		`{"tags":{"tags":["1"],"age_seconds":9223372036854775807}}`: {Tags: []string{"1"}},
	} {
		var asked string
		i := asking(t, func(q wire.ImageQuestions) string { asked = q.Repository; return answer })
		got, err := i.TagList(t.Context(), tagged(t, "a:1"))
		if err != nil || !got.CheckedAt.Equal(want.CheckedAt) || fmt.Sprint(got.Tags) != fmt.Sprint(want.Tags) || asked != "docker.io/library/a" {
			t.Errorf("%s of %q: %+v, %v", answer, asked, got, err)
		}
	}
}

func TestGarbageInsteadOfAnAnswerIsAnError(t *testing.T) {
	for name, answer := range map[string]string{
		"no JSON": "<html>", "another type": `{"digests":[]}`, "no end": `{"digests":` + strings.Repeat(" ", 5<<20) + `{}}`,
	} {
		i := asking(t, func(wire.ImageQuestions) string { return answer })
		if got, err := i.Digests(t.Context(), []reference.NamedTagged{tagged(t, "a:1")}); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
		if got, err := i.TagList(t.Context(), tagged(t, "a:1")); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzDigestsOf(f *testing.F) {
	f.Add([]byte(`{"digests":{"docker.io/library/a:1":{"digest":"sha256:aa","media_type":"m","size":-3,"age_seconds":9223372036854775807}}}`))
	refs := []reference.NamedTagged{tagged(f, "a:1"), tagged(f, "b:1")}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got wire.ImageAnswers
		if json.Unmarshal(data, &got) != nil {
			return
		}
		answers := digestsOf(refs, got.Digests, monday)
		if len(answers) != len(refs) {
			t.Fatalf("%d answers", len(answers))
		}
		for _, a := range answers {
			if a.CheckedAt.After(monday) {
				t.Errorf("of the future: %+v", a)
			}
		}
	})
}
