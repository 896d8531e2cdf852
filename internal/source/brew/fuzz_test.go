package brew

import "testing"

func FuzzDryRun(f *testing.F) {
	f.Add([]byte(formulae))
	f.Add([]byte("==> Would upgrade 2 outdated packages:\na 1 -> 2, b 3\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		d, err := parseDryRun(out)
		if err != nil {
			return
		}
		for _, s := range d.steps {
			if !nameText.MatchString(s.name) || !versionText.MatchString(s.to) {
				t.Errorf("%+v", s)
			}
		}
	})
}

func FuzzCatalogue(f *testing.F) {
	f.Add([]byte(text(f, "outdated.stdout")), []byte(text(f, "info.stdout")))
	f.Fuzz(func(t *testing.T, old, info []byte) {
		known, err := parseInfo(info)
		if err != nil {
			known = catalogue{}
		}
		list, err := parseOutdated(old)
		if err != nil {
			return
		}
		for _, e := range list.formulae {
			if o := (installation{}).formula(e, known); !versionText.MatchString(o.update.To) {
				t.Errorf("%+v", o)
			}
		}
		for _, e := range list.casks {
			if o := cask(e, known); !nameText.MatchString(o.update.Name) {
				t.Errorf("%+v", o)
			}
		}
	})
}

func FuzzSaid(f *testing.F) {
	f.Add("Error: Another active Homebrew update process is already in progress.\n")
	f.Fuzz(func(t *testing.T, said string) {
		if explainText(said, "otherwise") == nil {
			t.Error("no reason")
		}
	})
}
