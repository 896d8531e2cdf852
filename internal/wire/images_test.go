package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestQuestionsAboutImagesAreBounded(t *testing.T) {
	long := strings.Repeat("a", MaxReference)
	for name, c := range map[string]struct {
		q  ImageQuestions
		ok bool
	}{
		"nothing":           {ImageQuestions{}, true},
		"as many as may be": {ImageQuestions{References: slices.Repeat([]string{long}, MaxReferences), Repository: long}, true},
		"too many":          {ImageQuestions{References: make([]string, MaxReferences+1)}, false},
		"a long reference":  {ImageQuestions{References: []string{"a", long + "a"}}, false},
		"a long repository": {ImageQuestions{Repository: long + "a"}, false},
	} {
		if err := c.q.Check(); errors.Is(err, ErrBounds) == c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	full, encoding, err := Pack(ImageQuestions{References: slices.Repeat([]string{long}, MaxReferences)})
	if err != nil {
		t.Fatal(err)
	}
	if err := Unpack(full, encoding, MaxImages, new(ImageQuestions)); err != nil {
		t.Errorf("as many as may be do not fit: %v", err)
	}
}
