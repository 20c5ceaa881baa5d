package survive_test

import (
	"testing"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/survive"
)

func BenchmarkEach(b *testing.B) {
	for _, scenario := range []string{"weak", "big"} {
		w, err := still.Of(b.Context(), scenario, 1, time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(scenario, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				survive.New(w).Each()
			}
		})
	}
}
