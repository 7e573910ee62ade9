"""The words of an approved text elsewhere: on screens, loudspeakers, posters, in letters."""
