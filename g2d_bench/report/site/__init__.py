"""The leaderboard: a static page made from a results folder."""
