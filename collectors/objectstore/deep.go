package objectstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/pierrec/lz4/v4"
	"golang.org/x/sync/errgroup"

	"github.com/geotop/geotop/model"
)

// All has every block of every backup read.
const All = -1

const (
	deepTimeout  = 30 * time.Minute
	maxFileBytes = 256 << 20 // of a backup's whole file: some 100 bytes a block
	maxBlock     = 64 << 20  // unpacked; Longhorn's are of 2 to 16 MiB
)

// deepen looks after the blocks of each volume's newest backup, or of all backups:
// that all are there, and that so many of them, picked at random, hold what their
// names say. What was looked at within the last hour is left alone.
func (b *bucket) deepen(ctx context.Context, all []model.StoredBackup, sample int, now time.Time) error {
	byVolume := map[string][]*model.StoredBackup{}
	for i := range all {
		if s := &all[i]; s.Read && s.Done {
			byVolume[s.Volume] = append(byVolume[s.Volume], s)
		}
	}
	for volume, list := range byVolume {
		slices.SortFunc(list, func(x, y *model.StoredBackup) int { return y.CreatedAt.Compare(x.CreatedAt) })
		if sample != All {
			list = list[:1]
		}
		list = slices.DeleteFunc(list, func(s *model.StoredBackup) bool {
			return s.Blocks != nil && s.Error == "" && now.Sub(s.Blocks.At) < listEvery
		})
		if len(list) == 0 {
			continue
		}
		there, err := b.blocks(ctx, volume)
		if err != nil {
			return err
		}
		for _, s := range list {
			if err := b.deepenOne(ctx, s, there, sample, now); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// blocks lists a volume's blocks: their sizes by checksum.
func (b *bucket) blocks(ctx context.Context, volume string) (map[string]int64, error) {
	there := map[string]int64{}
	for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + volumeFolder(volume) + "blocks/", Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		name := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
		if sum, ok := strings.CutSuffix(name, ".blk"); ok {
			there[sum] = o.Size
		}
	}
	return there, ctx.Err()
}

// deepenOne checks one backup. What is wrong with its blocks is its error.
func (b *bucket) deepenOne(ctx context.Context, s *model.StoredBackup, there map[string]int64, sample int, now time.Time) error {
	sums, method, err := b.blockList(ctx, s)
	if err != nil {
		s.Error = "its list of blocks: " + model.Clean(err.Error(), 200)
		return ctx.Err()
	}
	check := &model.BlockCheck{At: now, Blocks: len(sums)}
	present := []string{}
	for _, sum := range sums {
		if there[sum] > 0 {
			present = append(present, sum)
		}
	}
	check.Missing = len(sums) - len(present)
	if sample != All {
		rand.Shuffle(len(present), func(i, j int) { present[i], present[j] = present[j], present[i] })
		present = present[:min(sample, len(present))]
	}
	bad := make([]error, len(present))
	var g errgroup.Group
	g.SetLimit(readers)
	for i, sum := range present {
		g.Go(func() error {
			bad[i] = b.readBlock(ctx, s.Volume, sum, method)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	check.Read = len(present)
	s.Blocks, s.Error = check, ""
	for _, err := range bad {
		if err != nil {
			check.Damaged++
			s.Error = model.Clean(err.Error(), 200)
		}
	}
	if check.Missing > 0 {
		s.Error = fmt.Sprintf("%d of its %d blocks are not in the bucket", check.Missing, check.Blocks)
	}
	return nil
}

// blockList reads a backup's whole file for the checksums of its blocks, each
// once, and how they are packed.
func (b *bucket) blockList(ctx context.Context, s *model.StoredBackup) (sums []string, method string, err error) {
	o, err := b.client.GetObject(ctx, b.name, b.prefix+backupKey(s.Volume, s.Name), minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer o.Close()
	var file struct {
		CompressionMethod string
		Blocks            []struct{ BlockChecksum string }
	}
	if err := json.NewDecoder(io.LimitReader(o, maxFileBytes)).Decode(&file); err != nil {
		return nil, "", err
	}
	seen := map[string]bool{}
	for _, block := range file.Blocks {
		sum := block.BlockChecksum
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != checksumLen {
			return nil, "", errors.New("a block's checksum is none")
		}
		if !seen[sum] {
			seen[sum] = true
			sums = append(sums, sum)
		}
	}
	return sums, file.CompressionMethod, nil
}

// checksumLen is how many of a SHA-512's hex digits name a block.
const checksumLen = 64

// readBlock reads a block and holds its content against its name.
func (b *bucket) readBlock(ctx context.Context, volume, sum, method string) error {
	ctx, cancel := context.WithTimeout(ctx, 6*readTimeout)
	defer cancel()
	key := b.prefix + volumeFolder(volume) + "blocks/" + sum[:2] + "/" + sum[2:4] + "/" + sum + ".blk"
	o, err := b.client.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	if err != nil {
		return fmt.Errorf("block %s: %w", sum[:12], err)
	}
	defer o.Close()
	packed, err := io.ReadAll(io.LimitReader(o, maxBlock))
	if err != nil {
		return fmt.Errorf("block %s: %w", sum[:12], err)
	}
	if got, err := digest(packed, method); err != nil {
		return fmt.Errorf("block %s cannot be unpacked: %w", sum[:12], err)
	} else if got != sum {
		return fmt.Errorf("block %s holds something else", sum[:12])
	}
	return nil
}

// digest is the name a packed block should have.
func digest(packed []byte, method string) (string, error) {
	var plain io.Reader = bytes.NewReader(packed)
	switch method {
	case "lz4":
		plain = lz4.NewReader(plain)
	case "gzip", "": // as old backups are
		z, err := gzip.NewReader(plain)
		if err != nil {
			return "", err
		}
		plain = z
	case "none":
	default:
		return "", fmt.Errorf("unknown method %q", model.Clean(method, 20))
	}
	sum := sha512.New()
	if n, err := io.Copy(sum, io.LimitReader(plain, maxBlock)); err != nil {
		return "", err
	} else if n == maxBlock {
		return "", errors.New("it is too large")
	}
	return hex.EncodeToString(sum.Sum(nil))[:checksumLen], nil
}
