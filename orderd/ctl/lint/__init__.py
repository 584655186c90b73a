"""The rules that `orderctl topology lint` checks a broker's queues against."""
