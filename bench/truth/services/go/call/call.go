// Package call makes the calls that belong to a request, and writes down which they are.
package call

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// Request is what a service has to know of the request that it works on.
type Request struct {
	ID        string
	RequestID string
}

// Of is the request that a handler got.
func Of(r *http.Request) Request {
	return Request{r.PathValue("id"), r.Header.Get("X-Request-ID")}
}

var (
	ledger   = open(os.Getenv("TRUTH"))
	client   = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	cache    = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Getenv("REDIS_PORT"), PoolSize: 32})
	database = connect()
)

func open(path string) *os.File {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		log.Fatal(err)
	}
	return file
}

func connect() *pgxpool.Pool {
	const options = "user=postgres dbname=postgres pool_max_conns=32 default_query_exec_mode=simple_protocol"
	pool, err := pgxpool.New(context.Background(), "host=127.0.0.1 port="+os.Getenv("POSTGRES_PORT")+" "+options)
	if err != nil {
		log.Fatal(err)
	}
	return pool
}

func (r Request) newID(kind string) string {
	var bytes [8]byte
	rand.Read(bytes[:])
	id := hex.EncodeToString(bytes[:])
	fmt.Fprintf(ledger, "%s %s %s\n", r.ID, id, kind)
	return id
}

// Redis asks Redis.
func (r Request) Redis(ctx context.Context) error {
	err := cache.Get(ctx, "k:"+r.newID("redis")).Err()
	if err == redis.Nil {
		return nil
	}
	return err
}

// SQL asks PostgreSQL.
func (r Request) SQL(ctx context.Context) error {
	var id string
	return database.QueryRow(ctx, "SELECT pause('"+r.newID("sql")+"')").Scan(&id)
}

// HTTP asks the next service, once again if it refuses.
func (r Request) HTTP(ctx context.Context) error {
	for range 2 {
		status, err := r.once(ctx)
		if err != nil || status != http.StatusServiceUnavailable {
			return err
		}
	}
	return nil
}

func (r Request) once(ctx context.Context) (int, error) {
	ask, err := http.NewRequestWithContext(ctx, "GET", os.Getenv("NEXT")+"/c/"+r.newID("http"), nil)
	if err != nil {
		return 0, err
	}
	if r.RequestID != "" {
		ask.Header.Set("X-Request-ID", r.RequestID)
	}
	answer, err := client.Do(ask)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// Serve serves requests with a handler that says what went wrong.
func Serve(handle func(context.Context, Request) error) {
	http.HandleFunc("GET /r/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := handle(r.Context(), Of(r)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write([]byte("ok"))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
