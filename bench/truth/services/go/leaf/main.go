// The last service of each chain: waits with a long tail, and refuses a share of the calls, which are then made again.
package main

import (
	"log"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	refused = 0.08
	// Of the median.
	longest = 20.0
)

func main() {
	median, err := strconv.ParseFloat(os.Getenv("WAIT_MS"), 64)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /c/{id}", func(w http.ResponseWriter, r *http.Request) {
		if rand.Float64() < refused {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		wait := median * min(math.Exp(rand.NormFloat64()), longest)
		time.Sleep(time.Duration(wait * float64(time.Millisecond)))
		w.Write([]byte("ok"))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
