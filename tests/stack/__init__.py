"""What ships for the stack around tripswitch: dashboards, rules, examples, the image."""
