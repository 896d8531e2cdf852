package store

import (
	"context"
	"time"
)

// tidyJobsBatch is how many jobs are deleted in one transaction: each may have some hundred batches of lines.
const tidyJobsBatch = 50

// tidyJobs deletes the jobs that are older than they are kept, or too many, with their lines, orders and answers.
func (s *Store) tidyJobs(ctx context.Context, now time.Time) error {
	for _, old := range []struct {
		query string
		args  []any
	}{
		{`SELECT id, plan_order, work_order, cancel_order FROM jobs WHERE changed_at < $1 AND state NOT IN (` + quoted(openStates[:]...) + `) ORDER BY changed_at LIMIT $2`, []any{now.Add(-keepOrders).UnixMilli(), tidyJobsBatch}},
		{`SELECT id, plan_order, work_order, cancel_order FROM jobs ORDER BY changed_at DESC, id DESC LIMIT $1 OFFSET $2`, []any{tidyJobsBatch, maxJobs}},
	} {
		for n := tidyJobsBatch; n == tidyJobsBatch; {
			if err := s.inTx(ctx, func(c conn) (err error) {
				n, err = deleteJobs(ctx, c, old.query, old.args)
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteJobs deletes the jobs that a question gives, and says how many they are.
func deleteJobs(ctx context.Context, c conn, query string, args []any) (n int, err error) {
	var ids, orders []int64
	if err := c.all(ctx, func(scan func(...any) error) error {
		var id, plan, work, cancel int64
		err := scan(&id, &plan, &work, &cancel)
		ids, orders = append(ids, id), append(orders, plan, work, cancel)
		return err
	}, query, args...); err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, q := range []string{
		`DELETE FROM jobs WHERE id IN (` + numbers(ids) + `)`, // before its orders, as everybody locks them
		`DELETE FROM job_lines WHERE job_id IN (` + numbers(ids) + `)`,
		`DELETE FROM answers WHERE order_id IN (` + numbers(orders) + `)`,
		`DELETE FROM orders WHERE id IN (` + numbers(orders) + `)`,
	} {
		if _, err := c.exec(ctx, q); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
