package command

import (
	"fmt"

	"redflag/internal/job"
)

// stepLine writes a step of a job for a person.
func stepLine(s job.Step) string {
	if s.Failed || s.Percent < 0 {
		return s.Text
	}
	return fmt.Sprintf("%3d%%  %s", s.Percent, s.Text)
}
