// Sessions whose statements stay prepared while the schema changes. Usage: pgx plans SECONDS SESSIONS; the tally is one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var planTexts = []string{
	"SELECT * FROM shape WHERE id = $1",
	"SELECT s.*, $1::int AS n FROM shape s WHERE id = 1",
	"SELECT s.*, $1::int8 AS n FROM shape s ORDER BY id",
}

// The pace of an application. At full speed the sessions of the fastest driver keep the links from the others', which then meet fewer changes.
const pace = 10 * time.Millisecond

// What each kind of row is decoded as; the kind is in the row itself.
var planRows = map[string][]any{
	"int4":    {int32(0x41424344)},
	"text":    {"ABCD"},
	"int8":    {int64(0x4142434445464748)},
	"wider":   {int64(0x4142434445464748), int32(5)},
	"renamed": {int64(0x4142434445464748), int32(5)},
}

type planTally struct {
	mutex        sync.Mutex
	Rows         int      `json:"rows"`
	Fresh        int      `json:"fresh"`
	InBlocks     int      `json:"inBlocks"`
	Refused      int      `json:"refused"`
	RefusedFresh int      `json:"refusedFresh"`
	RefusedAgain int      `json:"refusedAgain"`
	Wrong        []string `json:"wrong"`
	Failed       []string `json:"failed"`
}

func (t *planTally) note(list *[]string, text string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(*list) < 5 {
		*list = append(*list, text)
	}
}

func (t *planTally) count(counter *int, by int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	*counter += by
}

// changes is how often the schema was changed so far.
func changes(ctx context.Context, conn *pgx.Conn) (int, error) {
	var n int
	err := conn.QueryRow(ctx, "SELECT n FROM changes", pgx.QueryExecModeSimpleProtocol).Scan(&n)
	return n, err
}

func (t *planTally) read(ctx context.Context, conn *pgx.Conn, text string) error {
	rows, err := conn.Query(ctx, text, 1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			t.note(&t.Wrong, "pgx: "+err.Error())
			continue
		}
		kind, _ := values[1].(string)
		wanted := append([]any{int32(0), kind}, planRows[kind]...)
		wanted[0] = values[0]
		if text != planTexts[0] {
			wanted = append(wanted, values[len(values)-1])
		}
		if check(values, wanted) != nil || planRows[kind] == nil {
			t.note(&t.Wrong, fmt.Sprintf("pgx: %#v of %s", values, text))
		}
		t.count(&t.Rows, 1)
	}
	return rows.Err()
}

func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "0A000"
}

func simple(ctx context.Context, conn *pgx.Conn, text string) error {
	_, err := conn.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
	return err
}

// once runs text, in a transaction block or not. It answers how many changes there were before, and whether it was refused.
func (t *planTally) once(ctx context.Context, conn *pgx.Conn, text string, block bool) (before int, was bool, err error) {
	if block {
		if err = simple(ctx, conn, "BEGIN"); err != nil {
			return
		}
	}
	if before, err = changes(ctx, conn); err != nil {
		return
	}
	err = t.read(ctx, conn, text)
	was = refused(err)
	if was {
		t.count(&t.Refused, 1)
		err = nil
	}
	if err == nil && block {
		// of a block that has failed it is a ROLLBACK
		err = simple(ctx, conn, "COMMIT")
	}
	return
}

func (t *planTally) old(ctx context.Context, until time.Time) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// how many changes there were when each text was refused last beyond doubt
	known := map[string]int{}
	for turn := 0; time.Now().Before(until); turn++ {
		text := planTexts[turn%len(planTexts)]
		before, was, err := t.once(ctx, conn, text, turn%4 == 0)
		if err != nil {
			return err
		}
		if was {
			after, err := changes(ctx, conn)
			if err != nil {
				return err
			}
			if last, seen := known[text]; seen && last == after {
				t.count(&t.RefusedAgain, 1)
			}
			delete(known, text)
			if before == after {
				known[text] = after
			}
		}
		time.Sleep(pace)
	}
	return nil
}

func (t *planTally) fresh(ctx context.Context, until time.Time) error {
	for turn := 0; time.Now().Before(until); turn++ {
		if err := t.freshOne(ctx, planTexts[turn%len(planTexts)], turn%2 == 0); err != nil {
			return err
		}
		time.Sleep(pace)
	}
	return nil
}

func (t *planTally) freshOne(ctx context.Context, text string, block bool) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	t.count(&t.Fresh, 1)
	if block {
		t.count(&t.InBlocks, 1)
	}
	before, was, err := t.once(ctx, conn, text, block)
	if err != nil || !was {
		return err
	}
	after, err := changes(ctx, conn)
	// what is in a block holds its locks: nothing can have changed since it was prepared
	if block || before == after {
		t.count(&t.RefusedFresh, 1)
	}
	return err
}

func plans(arguments []string) int {
	seconds, _ := strconv.Atoi(arguments[0])
	sessions, _ := strconv.Atoi(arguments[1])
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	ctx, stop := context.WithDeadline(context.Background(), until.Add(30*time.Second))
	defer stop()
	tally := &planTally{Wrong: []string{}, Failed: []string{}}
	var all sync.WaitGroup
	start := func(run func(context.Context, time.Time) error) {
		all.Go(func() {
			if err := run(ctx, until); err != nil {
				tally.note(&tally.Failed, "pgx: "+err.Error())
			}
		})
	}
	for range sessions {
		start(tally.old)
	}
	start(tally.fresh)
	all.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(tally)
	return 0
}
