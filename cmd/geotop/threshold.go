package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/model"
)

// thresholds is the flag that sets limits; it may be given again and again.
type thresholds struct {
	set   model.Thresholds
	texts []string
}

func (t *thresholds) String() string { return strings.Join(t.texts, ",") }

// Type is the word for a value.
func (*thresholds) Type() string { return "limit" }

// Set takes in one limit, or several with commas between; nothing forgets all.
func (t *thresholds) Set(text string) error {
	if text == "" {
		*t = thresholds{}
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, limit, err := model.ParseThreshold(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		if t.set == nil {
			t.set = model.Thresholds{}
		}
		t.set[name] = limit
		t.texts = append(t.texts, part)
	}
	return nil
}

// completeThreshold offers the names of limits.
func completeThreshold(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	list := []string{}
	for _, l := range model.Limits() {
		list = append(list, l.Name+"=\t"+l.Says)
	}
	list = slices.DeleteFunc(list, func(s string) bool { return !strings.HasPrefix(s, begun) })
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
